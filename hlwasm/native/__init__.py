"""The binding of native_vmm: C ABI in, Python objects and exceptions out."""
