"""The projects, images, packages and disk types of the simulator."""

import uuid
from dataclasses import dataclass

from dashboard.simulator.responses import Document

MARKETPLACE_OWNER = "1bed0f3c5a7e9b1d4c2f8a6e0b4d2c1f"
DOMAIN_NAME = "example-corp"
DOMAIN_ID = "9c1e0d7a4b6f4f0c8d2a5e3b7f1c6a90"


@dataclass(frozen=True)
class SimulatedProject:
    id: str
    name: str
    """The region. In IAM, the first project of a region has its name."""
    directory: str
    """The directory (AD domain) of the tenant; empty if there is none."""


PROJECTS = {
    project.id: project
    for project in (
        SimulatedProject("0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e", "ap-southeast-3", "corp.example"),
        SimulatedProject("5d2e8f1a3b7c49d6a0e4c8b2f6d1a3e7", "af-south-1", ""),
    )
}


@dataclass(frozen=True)
class SampleImage:
    """An image in IMS. `kind` is the IMS term: server groups use `gold` where IMS uses `market`."""

    name: str
    kind: str
    min_disk: int
    version: str = "Windows Server 2019 Datacenter 64bit"
    product_code: str = ""
    withdrawn: bool = False
    system: str = "Windows"
    membership: str = "accepted"
    status: str = "active"
    id: str = ""

    @property
    def key(self) -> str:
        return self.id or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.images.example"))

    @property
    def group_type(self) -> str:
        """The kind in the terms of server groups (API reference, 5.3)."""
        return {"market": "gold", "gold": "public"}.get(self.kind, self.kind)


_2016 = "Windows Server 2016 Datacenter 64bit"
_2022 = "Windows Server 2022 Datacenter 64bit"

IMAGES = {
    image.name: image
    for image in (
        SampleImage(
            "ws2019-cad-2026-02",
            "market",
            60,
            product_code="00301-884211-0--0",
            id="c0a5e1f2-6b7d-4d0b-8a52-91f3d7e40b11",
        ),
        SampleImage("ws2022-cad-2026-09", "market", 80, _2022, product_code="00301-884212-0--0"),
        SampleImage("ws2022-office-2026-05", "market", 60, _2022, product_code="00301-771034-0--0"),
        SampleImage("ws2016-office-2024-11", "market", 50, _2016, product_code="00301-551870-0--0", withdrawn=True),
        SampleImage("ws2019-gpu-2026-01", "market", 100, product_code="00301-902377-0--0"),
        SampleImage("Windows Server 2019 Datacenter 64bit English", "gold", 40),
        SampleImage("Windows Server 2022 Datacenter 64bit English", "gold", 40, _2022),
        SampleImage("Windows Server 2016 Datacenter 64bit English", "gold", 40, _2016),
        SampleImage("Ubuntu 24.04 server 64bit", "gold", 40, "Ubuntu 24.04 server 64bit", system="Linux"),
        SampleImage("finance-apps-2026-08", "private", 60),
        SampleImage("callcentre-2026-06", "private", 50),
        SampleImage("engineering-2026-10", "private", 120, _2022),
        SampleImage("training-2025-12", "private", 40, _2016),
        SampleImage("callcentre-2026-11", "private", 50, status="saving"),
        SampleImage("partner-erp-2026-03", "shared", 80),
        SampleImage("partner-imaging-2026-07", "shared", 100, _2022),
        SampleImage("partner-crm-2026-10", "shared", 60, _2022, membership="pending"),
    )
}
IMAGES_BY_ID = {image.key: image for image in IMAGES.values()}


@dataclass(frozen=True)
class SampleProduct:
    """A package of server, licence and default sessions, sold as one product."""

    size: str
    flavor: str
    cpu: int
    memory_gb: int
    sessions: int
    gpu: str = ""

    @property
    def id(self) -> str:
        return f"workspace.appstream.{'graphics' if self.gpu else 'general'}.{self.size}"

    def document(self) -> Document:
        graphics = {"gpu_desc": self.gpu} if self.gpu else {}
        return {
            "product_id": self.id,
            "flavor_id": self.flavor,
            "type": "BASE",
            "architecture": "x86",
            "cpu": str(self.cpu),
            "cpu_desc": "Intel Xeon Gold 6266C",
            "memory": str(self.memory_gb * 1024),
            "is_gpu": bool(self.gpu),
            **graphics,
            "system_disk_type": "SAS",
            "system_disk_size": "80",
            "descriptions": f"{self.cpu} vCPUs, {self.memory_gb} GB",
            "charge_mode": "0",
            "contain_data_disk": False,
            "resource_type": "hws.resource.type.workspace.appstream",
            "cloud_service_type": "hws.service.type.vdi",
            "volume_product_type": "workspace",
            "sessions": self.sessions,
            "status": "normal",
            "cond_operation_az": "az0(normal),az1(normal)",
            "domain_ids": [],
            "package_type": "general",
        }


PRODUCTS = {
    "small": SampleProduct("xlarge.2", "s6.large.2", 2, 4, 1),
    "medium": SampleProduct("2xlarge.2", "s6.xlarge.2", 4, 8, 2),
    "large": SampleProduct("4xlarge.2", "s6.2xlarge.2", 8, 16, 4),
    "huge": SampleProduct("8xlarge.2", "s6.4xlarge.2", 16, 32, 8),
    "graphics": SampleProduct("g6.4xlarge", "g6.4xlarge.4", 16, 64, 4, gpu="NVIDIA T4 16 GB"),
}

_DISKS = {
    "SAS": ("workspace.volume.high", "High I/O", ""),
    "SSD": ("workspace.volume.ultrahigh", "Ultra-high I/O", "b"),
    "GPSSD": ("workspace.volume.general", "General-purpose SSD", ""),
    "ESSD": ("workspace.volume.extreme", "Extreme SSD", "ab"),
}


def volume_types(region: str) -> list[Document]:
    """The disk types. ESSD is sold out in both zones, SSD in one. SATA is no longer sold."""
    return [
        {
            "resource_spec_code": code,
            "volume_type": kind,
            "volume_product_type": "workspace",
            "resource_type": "hws.resource.type.workspace.volume",
            "cloud_service_type": "hws.service.type.vdi",
            "name": [{"language": "en-us", "value": words}],
            "volume_type_extra_specs": {
                "availability_zone": f"{region}a,{region}b",
                "sold_out_availability_zone": ",".join(f"{region}{zone}" for zone in sold_out),
            },
        }
        for kind, (code, words, sold_out) in _DISKS.items()
    ]
