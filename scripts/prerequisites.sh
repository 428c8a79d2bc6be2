# What scripts/quickstart, scripts/test and scripts/bench need on a Debian or Ubuntu machine. To be sourced.
#
# Each `need_…` looks first and installs only what is missing, so that a second run does nothing.
# System packages are installed with apt-get, through sudo when not root. Where neither is possible the
# script ends with the line that someone with the right has to run.
#
# The caller has set ROOT (the repository) and may set ME, the name that messages carry.

CACHE=${SLUICEBOX_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set}/.cache}/sluicebox}

say() { printf '%s: %s\n' "${ME:-sluicebox}" "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif ! have sudo; then return 1
    elif [ -t 0 ]; then sudo "$@"
    else sudo -n "$@"; fi
}

# Installs PACKAGE... and removes none. The lists are read anew only when the first try fails.
apt_install() {
    local wanted="apt-get install -y --no-install-recommends --no-remove $*"
    have apt-get || die "apt-get is missing. Needed are the programs of: $*"
    say "installing $*"
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive $wanted -q >"$LOGS/apt.log" 2>&1 && return 0
    # shellcheck disable=SC2086
    as_root apt-get update -q >>"$LOGS/apt.log" 2>&1 &&
        as_root env DEBIAN_FRONTEND=noninteractive $wanted -q >>"$LOGS/apt.log" 2>&1 && return 0
    tail -n 5 "$LOGS/apt.log" >&2
    die "could not install them. Run this as root, then start again: apt-get update && $wanted"
}

LOGS=$ROOT/target/logs
mkdir -p "$LOGS"

# A C compiler for the C parts of dependencies, and OpenSSL. The system's OpenSSL is used where it is 3 or newer,
# because building the bundled one takes minutes; that build needs perl and make.
need_build_tools() {
    local missing=()
    have cc || missing+=(gcc libc6-dev)
    have curl || missing+=(curl)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    system_openssl || missing+=(pkg-config libssl-dev)
    [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
    if system_openssl; then
        export OPENSSL_NO_VENDOR=1
    elif ! have perl || ! have make; then
        apt_install perl make
    fi
}

system_openssl() { have pkg-config && pkg-config --atleast-version=3 openssl 2>/dev/null; }

# The oldest rustc that builds this workspace, from the one place that says it.
required_rust() { sed -n 's/^rust-version *= *"\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1; }

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Asked from the workspace's folder: that is where cargo will be run.
rust_version() { (cd "$ROOT" && have cargo && rustc --version 2>/dev/null | cut -d' ' -f2); }
rust_serves() { local found; found=$(rust_version) && [ -n "$found" ] && at_least "$found" "$(required_rust)"; }

# A Rust toolchain. One that is there and new enough is used as it is; one that is too old is left alone, and another
# is put beside it: by rustup, else by the distribution's own packages. With `checks` rustfmt and clippy are needed too.
need_rust() {
    local wanted
    wanted=$(required_rust)
    rust_serves || PATH=$HOME/.cargo/bin:$PATH
    rust_serves || rust_by_rustup "$wanted" || rust_by_apt "$wanted" ||
        die "Rust $wanted or newer is needed, and could be had neither from rustup nor from this system's packages. Install it, then start again"
    if [ "${1:-}" = checks ] && { ! cargo fmt --version || ! cargo clippy --version; } >/dev/null 2>&1; then
        rustup component add rustfmt clippy >"$LOGS/rustup.log" 2>&1 ||
            die "rustfmt and clippy for Rust $(rust_version) are needed: rustup component add rustfmt clippy"
    fi
    say "Rust $(rust_version)"
}

rust_by_rustup() { # VERSION
    if ! have rustup; then
        say "installing Rust by rustup into ~/.cargo and ~/.rustup"
        curl --proto '=https' --tlsv1.2 -sSf --connect-timeout 15 --retry 1 https://sh.rustup.rs -o "$LOGS/rustup-init" 2>"$LOGS/rustup.log" &&
            sh "$LOGS/rustup-init" -y -q --no-modify-path --profile minimal -c rustfmt -c clippy >>"$LOGS/rustup.log" 2>&1 ||
            { say "rustup could not be installed here (see $LOGS/rustup.log)"; return 1; }
        PATH=$HOME/.cargo/bin:$PATH
    fi
    rust_serves && return 0
    say "Rust ${1} is needed; adding it beside the toolchain in use"
    rustup toolchain install "$1" --profile minimal -c rustfmt -c clippy >>"$LOGS/rustup.log" 2>&1 ||
        { say "rustup could not add it (see $LOGS/rustup.log)"; return 1; }
    export RUSTUP_TOOLCHAIN=$1
    rust_serves
}

# Debian and Ubuntu carry newer compilers under a suffix: rustc-web, rustc-1.96.
rust_by_apt() { # VERSION
    local suffix version
    have apt-cache || return 1
    apt-cache show rustc >/dev/null 2>&1 || as_root apt-get update -q >"$LOGS/apt.log" 2>&1 || return 1
    for suffix in $(apt-cache pkgnames rustc | sed -n 's/^rustc\(-web\|-[0-9.]*\|\)$/=\1/p' | sort -rV); do
        suffix=${suffix#=}
        version=$(apt-cache policy "rustc$suffix" | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p')
        [ -n "$version" ] && at_least "$version" "$1" || continue
        case $suffix in
        -web) apt_install rustc-web cargo-web rustfmt-web rust-web-clippy ;;
        *) apt_install "rustc$suffix" "cargo$suffix" "rustfmt$suffix" "rust-clippy$suffix" ;;
        esac
        [ ! -d "/usr/lib/rust$suffix/bin" ] || PATH=/usr/lib/rust$suffix/bin:$PATH
        rust_serves && return 0
    done
    return 1
}

# A Python with the packages that tests and benchmarks are made with, in a folder of its own.
need_python() {
    local venv=$CACHE/python wanted=$ROOT/tests/support/requirements.txt
    if ! cmp -s "$wanted" "$venv/installed.txt"; then
        rm -rf "$venv"
        # Debian ships Python without the module that fills a new environment.
        python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3 python3-venv
        mkdir -p "$CACHE"
        python3 -m venv "$venv" && "$venv/bin/python" -m pip install -q -r "$wanted" >"$LOGS/pip.log" 2>&1 ||
            { tail -n 5 "$LOGS/pip.log" >&2; die "cannot install the Python packages of $wanted"; }
        cp "$wanted" "$venv/installed.txt"
    fi
    export SLUICEBOX_TEST_PYTHON=$venv/bin/python
}

java_version() {
    local found
    found=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1) || true
    printf '%s\n' "${found:-0}"
}

# Any runtime of 17 or newer serves Debezium. The distribution's own choice can be older, with a newer one beside it.
need_java() {
    [ "$(java_version)" -ge 17 ] || apt_install default-jre-headless
    [ "$(java_version)" -ge 17 ] || apt_install openjdk-17-jre-headless
    [ "$(java_version)" -ge 17 ] || die "Debezium needs a Java runtime of 17 or newer, and \`java\` is $(java_version)"
}
