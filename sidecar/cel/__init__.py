"""A compiler for the Common Expression Language: typed, bounded, explainable, and plain Python at run time."""

from sidecar.cel.environment import Budget, Environment
from sidecar.cel.fuse import fuse
from sidecar.cel.outcome import Step
from sidecar.cel.problems import Problem
from sidecar.cel.program import Program, compile, over_budget
from sidecar.cel.references import Read
from sidecar.cel.times import Duration, Timestamp
from sidecar.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Bytes,
    Dyn,
    List,
    Map,
    Member,
    Object,
    String,
    Type,
)
from sidecar.cel.values import CelError, CelType, Uint

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "DYN",
    "INT",
    "NULL",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "Budget",
    "Bytes",
    "CelError",
    "CelType",
    "Duration",
    "Dyn",
    "Environment",
    "List",
    "Map",
    "Member",
    "Object",
    "Problem",
    "Program",
    "Read",
    "Step",
    "String",
    "Timestamp",
    "Type",
    "Uint",
    "compile",
    "fuse",
    "over_budget",
]
