#!/bin/sh
# Names each missing prerequisite in one line, with how to get it.
# Usage: check_prerequisites.sh [PYTHON]
python=${1:-python3}
missing=0
need() { echo "missing: $1" >&2; missing=1; }

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    need "Python 3.10 or later (set PYTHON=… or install your distribution's python3)"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    need "Python's venv module (on Debian: apt-get install python3-venv)"
# A cc without the C library's files is there, and links nothing.
echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null ||
    need "a C linker, cc (on Debian: apt-get install gcc libc6-dev)"

rust="Rust 1.95 or later (rustup.rs, or on Debian 12: apt-get install --no-install-recommends cargo-web rustc-web)"
if command -v cargo >/dev/null && command -v rustc >/dev/null; then
    minor=$(rustc --version | sed 's/^rustc 1\.\([0-9]*\)\..*/\1/')
    [ "$minor" -ge 95 ] 2>/dev/null || need "$rust; found $(rustc --version)"
else
    need "$rust"
fi
[ "$missing" -eq 0 ] || exit 1

# The build does not need it, and tests that do are skipped with the reason.
if [ ! -e /dev/kvm ]; then
    echo "note: /dev/kvm is missing: nothing can run; enable (nested) virtualisation, then" \
        "modprobe kvm_intel or kvm_amd; in a container, pass --device /dev/kvm" >&2
elif [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
    echo "note: no permission for /dev/kvm: sudo usermod -aG kvm \$USER, then log in again" >&2
fi
