#!/bin/sh
# Makes .venv for this checkout and installs minpy-jit into it (editable) with one extra: demo or test.
#
#     [PYTHON=/path/to/python] sh scripts/make_venv.sh demo|test
#
# With nothing changed since the last run it starts no pip and needs no network.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."

fail() {
    printf 'minpy-jit: %s\n' "$*" >&2
    exit 1
}

extra=${1:-}
case $extra in
    demo | test) ;;
    *) fail "which extra? got '$extra'; say 'demo' or 'test'" ;;
esac

[ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
    fail "this platform is not supported; found $(uname -s) $(uname -m); use Linux x86-64 (a container or WSL 2 will do)"

# One at a time: two runs would install over each other. The lock is on the folder itself, and ends with this script.
exec 9<.
if command -v flock >/dev/null 2>&1; then flock 9; fi

# --- Which Python ---------------------------------------------------------------------------------------------------

# Prints the version and what is wrong, if anything. Any Python, even Python 2, can read it.
probe='
import platform, sys
def verdict():
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return "version"
    if platform.python_implementation() != "CPython":
        return "implementation"
    for module in ("venv", "ctypes", "ssl"):
        try:
            __import__(module)
        except ImportError:
            return module
    try:
        __import__("ensurepip").version()  # an empty folder of that name can be imported, too
    except Exception:
        return "ensurepip"
    if platform.libc_ver()[0] != "glibc":
        return "libc"
    try:
        __import__("ctypes").CDLL("libgomp.so.1")
    except OSError:
        return "libgomp"
    return "fits"
print(platform.python_version() + " " + verdict())
'

# "3.11.7 fits", "3.13.0 version", ...; nothing where there is no such Python, or only a shim of one that is not active.
try() {
    "$1" -E -c "$probe" 2>/dev/null 9<&- || :
}

# refuse PYTHON "VERSION VERDICT": one sentence, with the command that mends it.
refuse() {
    version=${2% *}
    case ${2#* } in
        version)
            fail "Python 3.10, 3.11 or 3.12 is needed; found $1, which is $version; choose with PYTHON=/path/to/python3.11" ;;
        implementation)
            fail "CPython is needed; found $1, which is another implementation; choose with PYTHON=/path/to/python3.11" ;;
        libc)
            fail "MXNet needs glibc; found $1 on another C library (musl?); use a distribution with glibc, for example Debian" ;;
        libgomp)
            if command -v dnf >/dev/null 2>&1; then mend="sudo dnf install libgomp"; else mend="sudo apt-get install libgomp1"; fi
            fail "MXNet needs the system library libgomp.so.1; it is missing; run: $mend" ;;
    esac
    # What is left is a module that is not there. Debian and Ubuntu split venv and ensurepip off.
    case "${2#* } $(command -v "$1")" in
        "venv /bin/"* | "venv /usr/bin/"* | "ensurepip /bin/"* | "ensurepip /usr/bin/"*)
            fail "$1 ($version) cannot make virtual environments; its module ${2#* } is missing;" \
                "run: sudo apt-get install python${version%.*}-venv" ;;
        *)
            fail "$1 ($version) was built without the module ${2#* }; choose another with PYTHON=/path/to/python3.11" ;;
    esac
}

# Sets `python`, and `found` to its version and verdict; tries those on PATH, then those that pyenv installed.
choose_python() {
    nearest='' nearest_found=''
    pyenv=${PYENV_ROOT:-${HOME:-}/.pyenv}/versions
    for python in python3.11 python3.12 python3.10 python3 "$pyenv"/3.11.*/bin/python "$pyenv"/3.12.*/bin/python "$pyenv"/3.10.*/bin/python; do
        found=$(try "$python")
        case $found in
            *" fits") return ;;
            '') ;;
            *" version") if [ -z "$nearest" ]; then nearest=$python nearest_found=$found; fi ;;
            # A Python of the right version with something missing is nearer than any other.
            *) case $nearest_found in '' | *" version") nearest=$python nearest_found=$found ;; esac ;;
        esac
    done
    [ -z "$nearest" ] || refuse "$nearest" "$nearest_found"
    fail "Python 3.10, 3.11 or 3.12 is needed; found none; install one and name it with PYTHON=/path/to/python3.11"
}

# .venv is ours if the mark is there, and usable if it was made in this very place (environments cannot be moved).
mark=.venv/.minpy-jit
here=$(pwd -P)
if [ -e .venv ] && [ ! -e "$mark" ]; then
    fail ".venv is in the way; it was not made by this Makefile; move it away or remove it"
fi
existing=''
if [ -e "$mark" ] && [ "$(cat "$mark")" = "$here" ]; then existing=$(try .venv/bin/python); fi

if [ -n "${PYTHON:-}" ]; then
    python=$PYTHON
    found=$(try "$python")
    [ -n "$found" ] || fail "PYTHON=$python does not run; name a Python 3.10, 3.11 or 3.12"
elif [ -n "$existing" ]; then
    python=.venv/bin/python
    found=$existing
else
    choose_python
fi
version=${found% *}
[ "${found#* }" = fits ] || refuse "$python" "$found"

# --- What is installed ----------------------------------------------------------------------------------------------

compiled=$("$python" -c 'import pathlib, runpy
folder = pathlib.Path("minpy_jit", "trace")
print(runpy.run_path(str(folder / "compiled.py"))["library"](folder))')
wanted="$(cat pyproject.toml setup.py | sha256sum | cut -d ' ' -f 1) $compiled $version"
holds() { # does the environment hold extra $1, as the project asks for it now?
    [ -e ".venv/.minpy-jit-$1" ] && [ "$(cat ".venv/.minpy-jit-$1")" = "$wanted" ]
}

if [ "$existing" = "$found" ]; then
    # The extra `test` includes `demo`.
    if holds test || holds "$extra"; then exit 0; fi
else
    rm -rf .venv
fi

log=.venv/install.log
run() { # run WHAT COMMAND...: into the log, whose end is shown if it fails
    what=$1
    shift
    "$@" >>"$log" 2>&1 9<&- && return
    tail -n 20 "$log" >&2
    fail "$what; all that was said is in $log"
}

printf 'Installing minpy-jit[%s] into .venv with Python %s (this once: a minute or two, and network access)\n' "$extra" "$version"
if [ ! -d .venv ]; then
    mkdir .venv
    : >"$mark" # ours, but of no place yet: an environment that was not finished is made anew
    run "$python cannot make a virtual environment" "$python" -m venv .venv
    printf '%s\n' "$here" >"$mark"
fi
rm -f .venv/.minpy-jit-*
run "installing into .venv failed; the first run needs access to a Python package index" \
    env PIP_USER=0 .venv/bin/python -m pip install --disable-pip-version-check --no-input --editable ".[$extra]"
printf '%s\n' "$wanted" >".venv/.minpy-jit-$extra"
