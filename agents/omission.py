"""What every recipe looks at in an event that says less than its like: the fields that are missing, given its kind."""

from features.missing import MISSING
from features.words.omission import Omission

#: The word and the weight of its nats, so that what leaves telling fields out is strange for that.
OMISSION = (Omission(MISSING, given="kind"), 1.0)
