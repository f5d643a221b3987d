"""Where workloads are kept: engines, the connections that they lend, and what their errors mean.

An engine knows nothing of workloads. The other rooms know it by :mod:`vulcan_store.engines.contract` alone.
"""
