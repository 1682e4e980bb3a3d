#!/bin/bash
# A custom op is built with CMake in the devel image and run there; SDK is the folder with
# include/ and lib/cmake/Tenon, PROJECT the op's sources. Then the multi-stage way: buildah builds
# FROM devel, copies the result into runtime.
source "$(dirname "$0")/image_common.sh"
need podman; need buildah
sdk=${SDK:?the folder with include/tenon and lib/cmake/Tenon}
project=${PROJECT:?the folder of a CMake project that says find_package(Tenon)}
for name in devel runtime; do
  "$tenon" image lock "$name" --output "$work/$name.lock" --tenon "$tenon"
  "$tenon" image build "$name" --lock "$work/$name.lock" --tenon "$tenon" --sdk "$sdk" \
    --name tenon-test --output "$work/$name.tar"
  podman load --quiet --input "$work/$name.tar"
done
tag_of() { tar -xOf "$1" manifest.json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["RepoTags"][0])'; }
cp -r "$project" "$work/project"
chmod -R a+rX "$work" "$work/project"
cat >"$work/Dockerfile" <<DOCKER
FROM localhost/$(tag_of "$work/devel.tar") AS build
COPY project /src
RUN cmake -S /src -B /workspace/build -G Ninja && cmake --build /workspace/build && cmake --install /workspace/build --prefix /workspace/out
FROM localhost/$(tag_of "$work/runtime.tar")
COPY --from=build /workspace/out /opt/op
ENV MODEL_NAME=custom
DOCKER
buildah --runtime runc bud --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network host \
  --isolation chroot --tag tenon-test-op "$work" >"$work/log" 2>&1 || { tail -20 "$work/log"; fail buildah; }
podman_run --user 65532:65532 --read-only --entrypoint /usr/bin/tenon localhost/tenon-test-op --help >/dev/null
podman inspect --format '{{.Config.Env}}' localhost/tenon-test-op | grep -q MODEL_NAME=custom || fail ENV
echo "ok: custom op through devel to runtime"
