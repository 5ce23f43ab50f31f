"""Classes that libraries make."""

import attr
import attrs
from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass
from timber.vocabulary import Grain


@attrs.define
class Attrs:
    rank: int = 8
    grain: Grain = attrs.field(default=Grain.FINE, kw_only=True)

    def __call__(self, folder):
        return []


@attr.s(auto_attribs=True)
class OldAttrs:
    rank: int = 8


class Model(BaseModel):
    rank: int = Field(default=8, ge=1)
    grain: Grain = Grain.FINE


class DerivedModel(Model):
    sharp: bool = True


@dataclass
class ModelData:
    rank: int = 8
