"""A month of made-up leads for `leads dev --sample`, so that the desk has something to show.

Invariant: everything goes the way of a real submission (checked, accepted, claimed, settled, by the same scripts), on a
clock that is set to when it is to have happened. What is said, when, and what became of it depend on the seed alone;
ids and receipts are as random as ever. Nobody in it is a person: the numbers are of a block that is made up.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from service.config.config import Config
from service.intake.intake import Intake
from service.lib.secret import Secret
from service.model.form import Form
from service.model.lead import Source
from service.model.problem import Problems
from service.store.cipher import Cipher
from service.store.leads import Store
from service.store.records import Attempt
from service.store.server.connection import connect
from service.store.server.server import Server
from service.submission import body
from service.submission.check import check
from service.submission.field_match import match
from service.submission.form_data import Posted

DAYS: Final = 30
SEED: Final = 2026
MOST: Final = 20_000
HOURS: Final = (1, 0, 0, 0, 0, 1, 3, 8, 14, 22, 26, 24, 18, 15, 17, 20, 24, 26, 22, 18, 14, 10, 6, 3)
"""How many come in which hour of the day, beside each other; a clinic's phones ring so."""
WEEKDAYS: Final = (12, 11, 10, 10, 10, 8, 4)
CAMPAIGNS: Final = (
    ("", "", 9), ("google", "knee pain", 6), ("facebook", "monsoon offer", 4), ("newsletter", "november", 1),
)  # fmt: skip
FATES: Final = (("new", 72), ("updated", 9), ("repeated", 6), ("spam", 7), ("refused", 6))
DEAD_IN_A_THOUSAND: Final = 15
NAMES: Final = ("Asha", "Ravi", "Mina", "Farhan", "Lila", "Tara", "Kiran", "Deepa", "Arjun", "Neha", "Vikram", "Meera")
FAMILIES: Final = ("Rao", "Kumar", "Shah", "Ali", "Menon", "Gupta", "Reddy", "Nair", "Iyer", "Das", "Joshi", "Khan")
WORDS: Final = (
    "My knee hurts when I climb stairs.", "Back pain since a long flight.", "Do you treat children?",
    "Shoulder, after tennis.", "Could I come on Saturday?", "A colleague recommended you.", "My neck is stiff.",
)  # fmt: skip
SPAM: Final = "https://a.example/ https://b.example/ https://c.example/ <a href=x>cheap</a> [url=x]pills[/url]"


@dataclass(slots=True)
class Hands:
    """A clock that is set by hand; ms."""

    now: int = 0

    def __call__(self) -> int:
        """Return the time that it shows."""
        return self.now


@dataclass(slots=True)
class Person:
    """Somebody made up, and what they said last."""

    name: str
    phone: str
    said: dict[str, str] = field(default_factory=dict)


async def fill(url: Secret, config: Config, secret: Secret, cipher: Cipher, *, number: int, end: int) -> int:
    """Make up so many submissions of the month before `end` (ms); returns how many, 0 where there are leads already."""
    hands = Hands(end)
    server = Server(connect(url.reveal()), clock=hands)
    try:
        store = Store(server, cipher=cipher)
        if [lead for form in config.forms for lead in await store.latest(form, 0, 1)]:
            return 0
        sample = Sample(config, store, Intake(store, secret, cipher=cipher), hands, random.Random(SEED))  # noqa: S311 -- nothing here is a secret
        for moment in moments(sample.chance, number, end, sample.zone):
            await sample.happen(moment)
        return number
    finally:
        await server.close()


def moments(chance: random.Random, number: int, end: int, zone: ZoneInfo) -> list[int]:
    """Draw moments (ms) of the last month, more of them where people are awake and at work."""
    now = datetime.fromtimestamp(end / 1000, zone)
    days = [now.date() - timedelta(days=back) for back in range(DAYS)]
    weights = [WEEKDAYS[day.weekday()] for day in days]
    found: list[int] = []
    while len(found) < number:
        day, (hour,) = chance.choices(days, weights)[0], chance.choices(range(24), HOURS)
        then = datetime(day.year, day.month, day.day, hour, tzinfo=zone) + timedelta(seconds=chance.uniform(0, 3600))
        if then < now:
            found.append(int(then.timestamp() * 1000))
    return sorted(found)


@dataclass(slots=True)
class Sample:
    """What was made up so far."""

    config: Config
    store: Store
    intake: Intake
    hands: Hands
    chance: random.Random
    people: list[tuple[Form, Person]] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """Whose days and hours they are."""
        return self.config.desk.timezone if self.config.desk else next(iter(self.config.forms.values())).timezone

    async def happen(self, moment: int) -> None:
        """Let one submission come at a moment, and what follows from it."""
        self.hands.now = moment
        (fate,) = self.chance.choices([name for name, _ in FATES], [weight for _, weight in FATES])
        form, person = self._somebody(fate)
        if fate in {"new", "updated"}:
            person.said |= self._words(form)
        said = {"name": person.name, "phone": person.phone, **person.said}
        if fate == "spam":
            said |= {"name": "Best offers", "message": SPAM, form.honeypot: "1"}
        if fate == "refused":
            said["phone"] = person.phone[:-2]
        await self._submit(form, said)
        await self._deliver(form)

    def _somebody(self, fate: str) -> tuple[Form, Person]:
        if fate in {"updated", "repeated"} and self.people:
            return self.chance.choice(self.people[-2:] if fate == "repeated" else self.people)
        forms = list(self.config.forms.values())
        (form,) = self.chance.choices(forms, range(len(forms) * 3, 0, -3))
        name = f"{self.chance.choice(NAMES)} {self.chance.choice(FAMILIES)}"
        person = Person(name, f"98{self.chance.randrange(10**8):08d}")
        if fate == "new":
            self.people.append((form, person))
        return form, person

    def _words(self, form: Form) -> dict[str, str]:
        """Return what somebody says at a form: its choices, and something in its longest field."""
        said = {field.name: self.chance.choice(field.choices) for field in form.fields.values() if field.choices}
        if "email" in form.fields and self.chance.random() < 0.6:  # noqa: PLR2004 -- more often than not
            said["email"] = f"visitor{self.chance.randrange(10**6)}@example.com"
        return said | {
            field.name: " ".join(self.chance.sample(WORDS, 2)) for field in form.fields.values() if field.multiline
        }

    async def _submit(self, form: Form, said: dict[str, str]) -> None:
        known = {name: text for name, text in said.items() if name in {*form.fields, form.honeypot}}
        posted = body.read("application/x-www-form-urlencoded", urlencode(known).encode())
        if not isinstance(posted, Posted):
            return
        matched = match(form, posted)
        self.intake.count_arrival(form, matched)
        checked = check(form, posted, matched)
        if isinstance(checked, Problems):
            self.intake.count_refusal(form, codes=[f"{item.field} {item.code}" for item in checked.items])
        else:
            content = replace(checked.content, source=self._source())
            await self.intake.submit(form, content, quarantine=checked.quarantine, signals=checked.signals)
        await self.intake.report_counts()

    def _source(self) -> Source:
        (campaign,) = self.chance.choices(CAMPAIGNS, [weight for *_, weight in CAMPAIGNS])
        source, name, _ = campaign
        utm = {"source": source, "medium": "cpc", "campaign": name} if name else {}
        return Source("https://www.example.com/contact", "https://search.example/" if source else "", utm)

    async def _deliver(self, form: Form) -> None:
        """Settle what is due as a destination would that is well, but for a few that it refuses."""
        for name in form.deliver:
            took = int(self.chance.lognormvariate(6.2, 0.7))
            self.hands.now += self.chance.randrange(20, 900)
            claims = await self.store.claim(form, name, lease=60_000, limit=10, token="sample")  # noqa: S106 -- it names a lease
            is_dead = self.chance.randrange(1000) < DEAD_IN_A_THOUSAND
            for claim in claims:
                version, now = claim.delivery.lead.version, self.hands.now
                done = Attempt(now, version, "delivered", took, 200)
                if is_dead:
                    why = '{"error": "no branch of that name"}'
                    done = Attempt(now, version, "dead", took, 422, "it answered 422", why)
                self.hands.now += took
                await self.store.settle(claim, done)
