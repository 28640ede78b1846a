"""Differential testing: the same calls by something else that should answer alike.

============================  =====================================================
:mod:`.another_component`     a component that claims the same WIT, in a micro-VM
:mod:`.python_object`         a Python object or module
:mod:`.wasmtime_process`      wasmtime-py, in a process of its own
============================  =====================================================
"""
