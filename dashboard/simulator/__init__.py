"""A simulator of Workspace Application Streaming, IMS and IAM on one port, for the demo, development and tests.

Its contract is openapi.yaml, which follows the provider's API pages. It imports nothing of the dashboard, so that the
two can disagree. Where the documents are silent, a switch (switches.py) selects the behaviour. Faults (faults.py)
simulate failures. Controls (controls.py) set both, and change groups directly.

    with SimulatorServer(groups=42, seed=1) as simulator:
        requests.get(f"{simulator.url}/v1/{project_id}/app-server-groups", headers={"X-Auth-Token": "simulator-token"})
"""
