"""The endpoints of each region (workspace-api.md 4.4, from the region files of the official SDK)."""

from dataclasses import dataclass

APPSTREAM_REGIONS = frozenset({"cn-north-4", "cn-north-9", "cn-east-3", "cn-south-1", "cn-southwest-2"})
WORKSPACE_REGIONS = frozenset(
    {
        "cn-north-11",
        "cn-east-5",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "af-north-1",
        "af-south-1",
        "la-north-2",
        "la-south-2",
        "me-east-1",
        "sa-brazil-1",
        "tr-west-1",
    }
)
REGIONS = APPSTREAM_REGIONS | WORKSPACE_REGIONS
REGIONS_WITHOUT_IAM = frozenset({"cn-north-11", "af-north-1"})  # the SDK uses the global address


@dataclass(frozen=True)
class Endpoints:
    workspace: str
    ims: str
    iam: str


def endpoints_of(region: str) -> Endpoints | None:
    """The endpoints of the region; None for an unknown region."""
    if region not in REGIONS:
        return None
    workspace = "appstream" if region in APPSTREAM_REGIONS else "workspace"
    iam = "iam" if region in REGIONS_WITHOUT_IAM else f"iam.{region}"
    return Endpoints(
        workspace=f"https://{workspace}.{region}.myhuaweicloud.com",
        ims=f"https://ims.{region}.myhuaweicloud.com",
        iam=f"https://{iam}.myhuaweicloud.com",
    )
