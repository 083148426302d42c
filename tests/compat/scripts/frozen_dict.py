from diffusers import DDIMScheduler
from diffusers.configuration_utils import ConfigMixin, FrozenDict, register_to_config

config = DDIMScheduler(beta_start=0.1).config
is_frozen, is_dict = isinstance(config, FrozenDict), isinstance(config, dict)
mine = FrozenDict({"a": 1, "b": (2, 3)})
read = [mine.a, mine["a"], len(mine), list(mine)]
merged = {**mine, "a": 5}


def refuses(attempt):
    try:
        attempt()
    except Exception as error:
        return "AttributeError" if isinstance(error, AttributeError) else "refused"


attempts = [
    lambda: mine.update(a=2),
    lambda: mine.pop("a"),
    lambda: mine.setdefault("c", 1),
    lambda: mine.no_such_key,
]
refused = [refuses(attempt) for attempt in attempts]
mine["a"] = 9
given = mine["a"]


class Thing(ConfigMixin):
    config_name = "thing.json"

    @register_to_config
    def __init__(self, size=3, name="x"):
        self.doubled = 2 * self.config.size


thing = Thing(size=4)
thing.save_config("thing")
again = Thing.from_config(Thing.load_config("thing"))
doubled, size, name = again.doubled, again.config.size, again.config.name
changed = Thing.from_config(thing.config, name="y").config.name
