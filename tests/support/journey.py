"""A lead's whole way through real processes: accepted, delivered, counted, backed up, erased and brought back."""

from pathlib import Path

from crm import Crm
from processes import Processes, post, until
from workshop import one_crm


def go_all_the_way(folder: Path, url: str, other_url: str, *, said: str = "Redis answers and is durable") -> None:
    """Go it on the empty server at `url`, of which the check says this, and come back on the empty one beside it."""
    file = str(folder / "leads.backup")
    with Crm() as crm:
        with Processes(folder / "here", url, one_crm(crm)) as here:
            assert said in here.run("check", "--redis")
            web, worker = here.serve(), here.work()
            assert post(web.port, name="Asha", phone="8951047001").status == 200
            crm.wait_for(1)
            until(lambda: here.status()["forms"]["get-in-touch"]["destinations"]["crm"]["delivered"] == 1)
            told = here.status()
            assert told["trouble"] == []
            assert told["forms"]["get-in-touch"]["balanced"]
            here.run("backup", file)
            assert "Erased" in here.run("erase", "--phone", "8951047001")
            assert worker.lines("redis") == web.lines("redis") == []
        with Processes(folder / "there", other_url, one_crm(crm)) as there:
            there.run("restore", file)
            assert there.status()["forms"]["get-in-touch"]["created"] == 1
