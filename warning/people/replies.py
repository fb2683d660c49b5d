"""What a phone is answered: in its language as far as the public may be told in it, in two SMS at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import smsutil

from warning.alerts.display import class_name, clip, hazard_of, local_time, phrases, place
from warning.alerts.languages import language_of, told_in
from warning.alerts.message import MOST_PARTS, sms, what
from warning.model import AlertEvent, Status
from warning.people.vocabulary import KEYWORDS, LANGUAGE_NAMES, REPLIES
from warning.region import Contact, Region


class Replies:
    """Those of one region to one who is told in ``language`` in that ``role``."""

    def __init__(self, region: Region, language: str, role: str = "public") -> None:
        self._region, self._role = region, role
        self.language = language_of(told_in(language, role, region))

    def say(self, which: str, **values: str) -> str:
        """The reply of that name; what is too long loses the end of its longest value."""
        texts = phrases(self.language)
        mark = {Status.EXERCISE: texts.exercise, Status.TEST: texts.test}.get(self._region.status, "")
        longest = max(values, key=lambda name: len(values[name]), default="")
        most = len(values.get(longest, ""))
        while True:
            cut = values | ({longest: clip(values[longest], most)} if longest else {})
            text = mark + REPLIES[self.language][which].format(**cut)
            if parts(text) <= MOST_PARTS or most == 0:
                return text
            most -= 1

    def about(self, which: str, event: AlertEvent) -> str:
        """A reply that names a warning."""
        said = what(event.alert, self._region, self.language).rstrip(phrases(self.language).words["stop"])
        return self.say(which, headline=said)

    def standing(self, events: Sequence[AlertEvent], secret_code: str) -> str:
        """The warning that matters most as it was sent, and in a word the others, as many as two SMS hold."""
        first = events[0].alert
        text = sms(first, self._region, self.language, self._role, code=secret_code).text
        others = dict.fromkeys(self._short(event) for event in events[1:])
        for most in range(len(others), 0, -1):
            more = f"{text} {phrases(self.language).words['comma'].join(list(others)[:most])}"
            if parts(more) <= MOST_PARTS:
                return more
        return text

    def _short(self, event: AlertEvent) -> str:
        alert, region = event.alert, self._region
        level = class_name(alert.level, region, self.language, hazard_of(alert.hazard.quantity))
        return f"{place(region.zone_by_id.get(alert.zone), alert.zone, self.language)}: {level}"

    def no_warning(self, name: str, now_ms: int) -> str:
        return self.say("no_warning", place=name, time=local_time(now_ms, self._region, self.language))

    def not_known(self, name: str, since_ms: int | None) -> str:
        """``since_ms``: until then it was known; None: never."""
        return self.say("not_known", place=name, time="-" if since_ms is None else local_time(since_ms, self._region, self.language))

    def languages(self) -> str:
        """The languages that may be chosen, each by its own name."""
        names = (LANGUAGE_NAMES[one].split()[0] for one in self._region.languages if one in LANGUAGE_NAMES)
        return phrases(self.language).words["comma"].join(names)


def own_name(language: str) -> str:
    """What a language calls itself."""
    return LANGUAGE_NAMES[language].split()[0]


def spoken(contacts: Iterable[Contact], languages: Sequence[str], region: Region) -> str:
    """In which language to answer: that of the contact; of a stranger that of his keyword, of several the region's first."""
    for contact in contacts:
        return contact.language
    return next((one for one in region.languages if one in languages), languages[0] if languages else "en")


def script_of(text: str, region: Region) -> str:
    """The region's language that a text with no keyword is most likely in, by its letters alone; English for Latin ones."""
    for language in region.languages:
        sample = "".join(KEYWORDS.get(language, {}).values())
        if any(ord(letter) > 0x24F and letter in sample for letter in text):
            return language
    return "en"


def parts(text: str) -> int:
    """How many SMS it takes."""
    return len(smsutil.split(text).parts)
