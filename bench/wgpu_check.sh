#!/usr/bin/env bash
# Does the GPU back end agree with the CPU? Runs tests/device_parity.rs with the feature `wgpu`, on a real GPU or on a software Vulkan device.
#
#     bench/wgpu_check.sh
#
# Without any Vulkan driver it says so and succeeds. On Debian and Ubuntu a software one (Mesa's lavapipe) comes with
#     apt-get install libvulkan1 mesa-vulkan-drivers
# VK_DRIVER_FILES=/path/to/driver_icd.json chooses among several drivers.
# The build goes to target/wgpu: another set of features in the usual folder would compile the CPU's back end anew each time.
set -euo pipefail
cd "$(dirname "$0")/.."

loader() {
    ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || [ -n "$(find /usr/lib* /usr/local/lib* -name 'libvulkan.so.1' -print -quit 2>/dev/null)" ]
}

drivers() {
    if [ -n "${VK_DRIVER_FILES:-}" ]; then
        tr ':' '\n' <<<"$VK_DRIVER_FILES"
    else
        find /etc/vulkan/icd.d /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d -name '*.json' 2>/dev/null || true
    fi
}

if ! loader || [ -z "$(drivers)" ]; then
    echo "skipped: no Vulkan driver on this machine (apt-get install libvulkan1 mesa-vulkan-drivers gives a software one)"
    exit 0
fi
echo "Vulkan drivers:"
drivers | sed 's/^/    /'

# Mesa writes a warning for each device when this is unset.
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$(mktemp -d)}
# A software device needs minutes to try out every form of every kernel, which teaches nothing about a GPU.
export CUBECL_AUTOTUNE_LEVEL=${CUBECL_AUTOTUNE_LEVEL:-minimal}
cargo test -p ganymede --locked --features wgpu --test device_parity --target-dir target/wgpu -- --nocapture --test-threads 1
