#!/bin/sh
# Makes a Debian package of the command line and coordinator, from the programs that are built: build.sh DESTINATION.
# It needs dpkg-deb. The worker has no package: it needs the libtorch of torch, which its wheel brings.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

destination=${1:?the folder for the package}
program=${CARGO_TARGET_DIR:-target}/release/biosweep

for tool in dpkg-deb dpkg-shlibdeps; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        say "$tool, which makes Debian packages, is not installed (apt-get install dpkg-dev)"
        exit 3
    fi
done
if [ ! -x "$program" ]; then
    say "$program is not built; run \`make build\`"
    exit 3
fi
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
partial=$(mktemp -d)
trap 'rm -rf "$partial"' EXIT INT TERM
root=$partial/root

install -D --mode 755 "$program" "$root/usr/bin/biosweep"
strip --strip-debug "$root/usr/bin/biosweep"
install -D --mode 644 --target-directory "$root/usr/lib/systemd/system" deploy/systemd/biosweep.service
install -D --mode 644 deploy/systemd/biosweep.conf "$root/usr/lib/sysusers.d/biosweep.conf"
install -d "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" "$root/usr/share/doc/biosweep"
"$program" man "$root/usr/share/man/man1" >/dev/null
gzip --best --no-name "$root"/usr/share/man/man1/*.1
"$program" completions bash >"$root/usr/share/bash-completion/completions/biosweep"
cat LICENSE-MIT LICENSE-APACHE coordinator/analysis/fonts/LICENSE-OFL.txt >"$root/usr/share/doc/biosweep/copyright"
BIOSWEEP_CARGO=${CARGO:-cargo}
export BIOSWEEP_CARGO
(cd deploy/python && python3 -B -c 'import licences; print(licences.of_crates("biosweep"))') >>"$root/usr/share/doc/biosweep/copyright"

# The packages with the libraries that the program needs.
mkdir -p "$partial/debian"
: >"$partial/debian/control"
depends=$(cd "$partial" && dpkg-shlibdeps -O -e root/usr/bin/biosweep 2>/dev/null | sed -n 's/^shlibs:Depends=//p')

install -d "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: biosweep
Version: $version
Architecture: $architecture
Maintainer: The biosweep authors <biosweep@localhost>
Depends: $depends
Recommends: systemd
Section: science
Priority: optional
Description: hyper-parameter sweeps over learning rules
 The command line and the coordinator of biosweep. Workers train on other machines or on this one; they are
 installed with pip, as biosweep-worker, because they need the libtorch of torch.
END
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ] && command -v systemd-sysusers >/dev/null; then
    systemd-sysusers biosweep.conf
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
END
chmod 755 "$root/DEBIAN/postinst"
mkdir -p "$destination"
dpkg-deb --root-owner-group --build "$root" "$destination/biosweep_${version}_$architecture.deb" >/dev/null
say "built $destination/biosweep_${version}_$architecture.deb"
