"""Classes whose settings are used, or are not, for the test that tells them apart; nothing imports this."""

from __future__ import annotations

import logging
import os
from typing import Any

log = logging.getLogger(__name__)


def positive(value: int) -> None:
    if value < 1:
        raise ValueError(value)


class UsedInMethod:
    def __init__(self, setting: int) -> None:
        self.a_kept_value = setting

    def double(self) -> int:
        return 2 * self.a_kept_value


class UsedByHeir:
    def __init__(self, setting: int) -> None:
        self.an_inherited_value = setting


class Heir(UsedByHeir):
    def double(self) -> int:
        return 2 * self.an_inherited_value


class UsedInConstructor:
    def __init__(self, setting: int) -> None:
        size = setting
        self.another_list = [0] * size

    def count(self) -> int:
        return len(self.another_list)


class UsedElsewhere:
    def __init__(self, setting: int) -> None:
        os.environ.update(SETTING=str(setting))


class UsedAsLimit:
    def __init__(self, setting: int) -> None:
        self.limit_of_these = setting

    def check(self, count: int) -> None:
        if count > self.limit_of_these:
            raise ValueError


class InertAltogether:
    def __init__(self, setting: int) -> None:
        pass


class InertButKept:
    def __init__(self, setting: int) -> None:
        self.never_read_again = setting


class InertButValidated:
    def __init__(self, setting: int) -> None:
        if setting < 1:
            raise ValueError(setting)
        positive(setting)


class InertButNamedInText:
    def __init__(self, setting: int) -> None:
        self.only_said = setting

    def say(self) -> str:
        return "only_said"


class InertButLogged:
    def __init__(self, setting: int) -> None:
        log.info("%s", setting)
        self.logged_only = setting

    def say(self) -> None:
        log.info("%s", self.logged_only)


class InertAsAnotherClassHasOne:
    def __init__(self, setting: int) -> None:
        self.of_another_class = setting


class Another:
    def __init__(self, given: Any) -> None:
        self.of_another_class = given

    def double(self) -> Any:
        return 2 * self.of_another_class
