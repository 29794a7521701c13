"""The initial server groups, like those of a medium-sized company, in the order of lists."""

import random
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class SampleGroup:
    """The particular values of one group. data.py adds the others."""

    name: str
    description: str = ""
    image: str = "ws2022-office-2026-05"
    product: str = "large"
    servers: int = 2
    extra_sessions: int = 0
    disk: int = 80
    on: bool = True
    primary: str = ""
    """The name of the primary, if this group is a standby."""
    tags: tuple[tuple[str, str], ...] = ()
    ou: str = ""
    desktop: bool = False
    mount: str = "ANY"
    scaling: bool = False
    vdi: bool = False

    def standby(self, name: str, servers: int = 1) -> "SampleGroup":
        return replace(
            self, name=name, primary=self.name, servers=servers, description=f"Standby of {self.name}", scaling=False
        )


_CAD = SampleGroup(
    "design-pool",
    "CAD users, Building 7",
    "ws2019-cad-2026-02",
    "medium",
    servers=3,
    extra_sessions=4,
    tags=(("team", "design"),),
)
_FINANCE = SampleGroup(
    "finance-eu",
    "Accounting and treasury, Europe",
    "finance-apps-2026-08",
    "large",
    servers=6,
    extra_sessions=8,
    disk=100,
    ou="OU=Finance,DC=corp,DC=example",
    tags=(("team", "finance"), ("cost-centre", "4100")),
)
_CALLS = SampleGroup(
    "callcenter-01",
    "Customer service, first shift",
    "callcentre-2026-06",
    "huge",
    servers=12,
    extra_sessions=16,
    scaling=True,
    mount="USER",
    tags=(("team", "service"),),
)
_SAP = SampleGroup("sap-gui", "SAP clients for all sites", "partner-erp-2026-03", servers=8, extra_sessions=4, disk=120)
_OFFICE = SampleGroup(
    "office-standard", "Office for everyone", product="huge", servers=9, extra_sessions=8, scaling=True
)
_LONGEST_NAME = "shared-services-centre-accounts-payable-and-receivable-emea-2026"

FIRST_PROJECT = (
    _CAD,
    _CAD.standby("design-pool-standby"),
    _FINANCE,
    _FINANCE.standby("finance-eu-standby", servers=2),
    SampleGroup(
        "finance-apac", "Accounting, Asia Pacific", "finance-apps-2026-08", servers=4, ou=_FINANCE.ou, disk=100
    ),
    _CALLS,
    _CALLS.standby("callcenter-01-b", servers=3),
    replace(_CALLS, name="callcenter-02", description="Customer service, second shift", servers=10),
    replace(_CALLS, name="callcenter-03", description="", servers=5, scaling=False),
    SampleGroup(
        "training-lab", "Switched off between courses", "training-2025-12", "small", on=False, tags=(("team", "hr"),)
    ),
    SampleGroup("legal-archive", "", "Windows Server 2016 Datacenter 64bit English", "small", servers=1, on=False),
    SampleGroup(
        "engineering-vdi", "One desktop for each engineer", "engineering-2026-10", servers=14, vdi=True, disk=160
    ),
    SampleGroup("研发设计组", "R&D design team, Shenzhen", "ws2022-cad-2026-09", "graphics", servers=4, disk=120),
    SampleGroup(
        _LONGEST_NAME, "Named by the naming committee", servers=3, tags=(("team", "finance"), ("site", "dublin"))
    ),
    SampleGroup("hr-selfservice", "Payslips and leave", servers=2, ou="OU=HR,DC=corp,DC=example"),
    SampleGroup("marketing-studio", "Layout and video", "ws2019-gpu-2026-01", "graphics", servers=3, disk=200),
    SampleGroup("simulation-gpu", "Finite elements overnight", "ws2019-gpu-2026-01", "graphics", servers=6, disk=200),
    _SAP,
    _SAP.standby("sap-gui-standby", servers=2),
    SampleGroup("erp-reports", "=1+1", "partner-erp-2026-03", "medium", servers=2, disk=100),
    SampleGroup(
        "helpdesk-tools", '<b>Do not delete</b> <script>alert("x")</script>', "training-2025-12", "small", servers=1
    ),
    SampleGroup("dev-sandbox", "Anything goes", "Windows Server 2022 Datacenter 64bit English", "medium", servers=2),
    SampleGroup(
        "qa-windows", "", "Windows Server 2019 Datacenter 64bit English", "medium", servers=3, tags=(("team", "qa"),)
    ),
    SampleGroup("contractors", "External staff; no mapped drives", "callcentre-2026-06", servers=3, mount="USER"),
    SampleGroup("executive-vdi", "Board members", "Windows Server 2022 Datacenter 64bit English", servers=5, vdi=True),
    SampleGroup("trading-floor", "Two screens each", "finance-apps-2026-08", "huge", servers=9, vdi=True, disk=100),
    SampleGroup("branch-madrid", "", servers=2, tags=(("site", "madrid"),)),
    SampleGroup("branch-johannesburg", "", servers=1, tags=(("site", "johannesburg"),)),
    SampleGroup("branch-singapore", "Marina Bay office", servers=3, tags=(("site", "singapore"),)),
    SampleGroup(
        "warehouse-scanners", "Handhelds, all warehouses", "callcentre-2026-06", "medium", servers=2, mount="SHARE"
    ),
    SampleGroup(
        "lab-instruments", "Spectrometers and microscopes", "partner-imaging-2026-07", "medium", servers=2, disk=120
    ),
    SampleGroup("medical-imaging", "Radiology viewers", "partner-imaging-2026-07", "graphics", servers=4, disk=160),
    SampleGroup(
        "library-kiosk", "Closed for renovation", "training-2025-12", "small", servers=0, on=False, desktop=True
    ),
    SampleGroup("exam-room", "Locked-down desktop for exams", "training-2025-12", "medium", servers=2, desktop=True),
    SampleGroup("video-editing", "Corporate television", "ws2019-gpu-2026-01", "graphics", servers=2, disk=500),
    SampleGroup("gis-mapping", "Field planning", "ws2019-cad-2026-02", servers=2, extra_sessions=2),
    SampleGroup("cad-review", "Read-only viewers", "ws2019-cad-2026-02", "medium", servers=1),
    _OFFICE,
    _OFFICE.standby("office-standard-standby", servers=3),
    SampleGroup("office-macros", "Spreadsheets that must not die", "ws2016-office-2024-11", "medium", servers=1),
    SampleGroup(
        "browser-isolation", "Untrusted web sites only", "training-2025-12", servers=4, extra_sessions=6, desktop=True
    ),
    SampleGroup("Pilot_2026_Q4", "Try-outs by the platform team", "engineering-2026-10", "medium", servers=1, disk=120),
)

_CALLS_ZA = replace(
    _CALLS, name="callcenter-za-01", description="Customer service, Cape Town", servers=4, extra_sessions=4
)

SECOND_PROJECT = (
    _CALLS_ZA,
    _CALLS_ZA.standby("callcenter-za-01-b"),
    SampleGroup("branch-capetown", "Head office", servers=3),
    SampleGroup("finance-za", "Accounting, Africa", servers=2, tags=(("team", "finance"),)),
    SampleGroup("mining-simulation", "Pit planning", "ws2019-gpu-2026-01", "graphics", servers=3, disk=200),
    SampleGroup("training-za", "", "Windows Server 2019 Datacenter 64bit English", "small", servers=1, on=False),
    SampleGroup("design-pool", "CAD users, Cape Town", "ws2019-cad-2026-02", "medium", servers=2, extra_sessions=4),
    SampleGroup("office-za", "Office for everyone", servers=4, extra_sessions=4),
)

_SITES = ("madrid", "lagos", "singapore", "bangkok", "dublin", "nairobi", "lima", "osaka", "turin", "perth")
_DEPARTMENTS = ("sales", "logistics", "legal", "support", "planning", "purchasing", "research", "quality")


_SERVERS = (0, 1, 2, 3, 4, 5, 10)
"""10,000 groups have about 36,000 servers."""


def generated_group(number: int, rng: random.Random) -> SampleGroup:
    site, department, servers = rng.choice(_SITES), rng.choice(_DEPARTMENTS), rng.choice(_SERVERS)
    return SampleGroup(
        f"{department}-{site}-{number:05}",
        rng.choice(("", f"{department.capitalize()}, {site.capitalize()}")),
        rng.choice(("ws2022-office-2026-05", "callcentre-2026-06", "Windows Server 2022 Datacenter 64bit English")),
        rng.choice(("small", "medium", "large")),
        servers=servers,
        on=rng.random() > 0.08,
        vdi=rng.random() < 0.15,
        scaling=servers > 2 and rng.random() < 0.2,
        tags=(("site", site),),
    )
