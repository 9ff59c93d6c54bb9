"""credit: who gave whom how much, as both signed, and what priority follows."""

from __future__ import annotations

import click

from client.cli import words
from client.cli.run import Run, with_engine
from client.engine.status import PersonCreditView, VouchedView
from p2pshare.names import display

TITLES = (
    "Who",
    ">They gave you",
    ">Signed",
    ">You gave them",
    ">Signed",
    "Their waiting counts",
    "Yours there",
)


@click.command()
@with_engine
@click.argument("person", required=False)
async def credit(run: Run, person: str | None) -> None:
    """Show who gave whom how much, and what priority follows.

    With PERSON, a nick or node id, about them alone. After you have given to somebody, your waiting with them
    counts up to four times a stranger's, until you have taken twice as much from them. Both of you sign how
    much it was.
    """
    view = await run.face.credit(person)
    run.out.result(view)
    if not view.people:
        run.out.say("You have not exchanged anything with anybody yet.")
    elif person is None:
        run.out.table(TITLES, [_row(one) for one in view.people])
    for one in view.people if person is not None else ():
        _tell(run, one)
    for vouched in view.vouched:
        if vouched.given_people or vouched.taken_people:
            run.out.say(_vouched(vouched, "They" if person is not None else "You"))


def _row(view: PersonCreditView) -> tuple[str, ...]:
    return (
        display(view.nick) or view.person[:12],
        words.size(view.taken_bytes),
        words.size(view.taken_signed),
        words.size(view.given_bytes),
        words.size(view.given_signed),
        "do not sign" if view.refuses_to_sign else priority(view.weight),
        priority(view.weight_there),
    )


def _tell(run: Run, view: PersonCreditView) -> None:
    say, name = run.out.say, display(view.nick) or view.person
    say(f"{name} gave you {words.size(view.taken_bytes)}; both signed for {words.size(view.taken_signed)}.")
    say(f"You gave them {words.size(view.given_bytes)}; both signed for {words.size(view.given_signed)}.")
    if view.refuses_to_sign:
        say("They do not sign for what they take from you, so their waiting counts as a stranger's.")
    else:
        say(f"With you their waiting counts {priority(view.weight)}.")
    say(f"With them yours counts {priority(view.weight_there)}, as far as your receipts say.")


def _vouched(view: VouchedView, who: str) -> str:
    return (
        f"On {display(view.server)}, others have signed: {who} gave {words.size(view.given_bytes)} to"
        f" {words.count(view.given_people, 'person', 'people')}, and took {words.size(view.taken_bytes)} from"
        f" {words.count(view.taken_people, 'person', 'people')}."
    )


def priority(weight: float) -> str:
    """How much a wait counts: "2.5 times", "as a stranger's"."""
    return "as a stranger's" if weight < 1.05 else f"{weight:.1f} times"
