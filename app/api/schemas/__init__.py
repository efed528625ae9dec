"""What the routes take and give, as pydantic models: the source of validation and of the OpenAPI document."""
