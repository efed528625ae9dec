"""What sentences say of an attribute: `SUBJECT PREDICATE VALUE.`, at least twenty predicates for each."""

from collections.abc import Mapping

from models.corpora.bios.values import Attribute

PREDICATES: Mapping[Attribute, tuple[str, ...]] = {
    "birth date": (
        "was born on", "came into the world on", "first saw the light of day on", "has a birthday on",
        "was delivered on", "drew a first breath on", "began life on", "arrived in this world on",
        "entered the world on", "was brought into the world on", "celebrates the birth on",
        "has the birth date", "counts the years from", "is registered as born on", "was welcomed on",
        "took a first look around on", "uttered a first cry on", "was first held on", "became a person on",
        "started the journey of life on",
    ),
    "birth city": (
        "was born in", "comes from", "hails from", "is a native of", "grew out of", "has roots in",
        "first lived in", "spent the first years in", "calls home", "has a birthplace called",
        "left the cradle in", "was a child of", "took first steps in", "originates from",
        "was raised beside the hospital of", "began life in", "owes the accent to", "stems from",
        "was baptised in", "opened both eyes in",
    ),
    "university": (
        "studied at", "went to", "graduated from", "was educated at", "took a degree at", "attended",
        "was a student at", "earned a diploma from", "learnt the craft at", "enrolled at",
        "passed all examinations at", "received lectures at", "is an alumnus of", "was taught at",
        "completed a degree at", "spent the student days at", "wrote a thesis at", "was admitted to",
        "found mentors at", "holds a diploma of",
    ),
    "field": (
        "majored in", "specialised in", "has a degree in", "is trained in", "was a student of",
        "read books on", "took courses in", "wrote a thesis on", "holds a diploma in",
        "concentrated on", "chose as a subject", "is qualified in", "was fascinated by", "mastered",
        "passed examinations in", "devoted the studies to", "learnt all about", "is an expert in",
        "did research in", "focused on",
    ),
    "employer": (
        "works for", "is employed by", "has a job at", "earns a living at", "was hired by",
        "found a position with", "is on the staff of", "makes a career at", "draws a salary from",
        "signed a contract with", "is a colleague at", "serves as a manager at", "joined",
        "is on the payroll of", "took a post at", "has an office at", "spends the working days at",
        "contributes to", "does the daily work at", "reports to a boss at",
    ),
}  # fmt: skip
BY_PREDICATE: Mapping[str, Attribute] = {
    predicate: attribute for attribute, predicates in PREDICATES.items() for predicate in predicates
}
SHORT: Mapping[str, Attribute] = {
    "born": "birth date",
    "of": "birth city",
    "at": "university",
    "in": "field",
    "for": "employer",
}
"""Predicates of the compact form, where the subject stands once, before a colon."""
SOMEBODY, NAMED = "This person", "This is"
"""The subject where the name is not repeated, and what stands before a name that comes last."""
