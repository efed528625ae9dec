"""HTTP only: routes, schemas and streaming."""
