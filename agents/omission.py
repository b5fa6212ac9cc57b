"""What every recipe looks at in an event that says less than its like: which fields are missing, given its kind."""

from features.missing import MISSING
from features.words.rarity import Rarity

#: The word and the weight of its nats, so that what leaves a telling field out is strange for that.
OMISSION = (Rarity(MISSING, given="kind"), 0.5)
