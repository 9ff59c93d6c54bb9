from __future__ import annotations

from client.engine.groups import Group, Member, known_by_nick, members, put_into_group
from client.engine.library import MIGRATIONS
from client.engine.people import totals
from p2pshare.database import open_database
from p2pshare.identity import NodeId

ALICE, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)


async def test_people_are_in_one_group_each_and_keep_their_nick() -> None:
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        await database.write(put_into_group, ALICE, "alice", Group.TRUSTED)
        await database.write(put_into_group, BOB, "", Group.BLOCKED)
        assert await database.read(members) == (
            Member(BOB, "", Group.BLOCKED),
            Member(ALICE, "alice", Group.TRUSTED),
        )
        await database.write(put_into_group, ALICE, "", Group.EVERYONE)
        assert await database.read(members) == (Member(BOB, "", Group.BLOCKED),)
        assert await database.read(known_by_nick, "alice") == (ALICE,)
        assert await database.read(known_by_nick, "carol") == ()
        assert (await database.read(totals)).people_served == 0
