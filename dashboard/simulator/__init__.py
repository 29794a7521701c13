"""A stand-in for Workspace Application Streaming, IMS and IAM on one port: for the demo, for development and for tests.

It answers from openapi.yaml, which is written from the API pages, and knows nothing of the dashboard, so that it can
disagree with it. Where the documents are silent, a switch (switches.py) lets it behave either way; where a bad day is
wanted, a fault (faults.py) plays it; what no test may do to the real cloud is done through its controls (controls.py).

    with SimulatorServer(groups=42, seed=1) as simulator:
        requests.get(f"{simulator.url}/v1/{project_id}/app-server-groups", headers={"X-Auth-Token": "simulator-token"})
"""
