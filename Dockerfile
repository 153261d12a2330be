# The harness with its emulated ARM core: measures and builds without a phone, and counts ARM
# instructions. It is Debian 12, because its qemu loads plugins.
#
#     docker build -t mobile-bench .
#     docker run --rm -v "$PWD:/work" mobile-bench bench my_model.tflite --device arm64
#
# For phones, use the adb server of the host, with --network host and `transport: adb_server` in
# devices.yaml.
FROM debian:12-slim

RUN apt-get update && \
    apt-get install -y --no-install-recommends \
      adb ca-certificates gcc libc6-dev python3 python3-venv qemu-user && \
    rm -rf /var/lib/apt/lists/*

# Extras of the package, such as report or build,report; empty for one that only measures files.
ARG EXTRAS=build,report
COPY constraints.txt pyproject.toml README.md LICENSE devices.yaml /src/
COPY harness /src/harness
COPY models /src/models
RUN python3 -m venv /opt/mobile-bench && \
    /opt/mobile-bench/bin/python -m pip install --no-cache-dir -c /src/constraints.txt \
      "/src${EXTRAS:+[$EXTRAS]}" && \
    rm -rf /src

# The cache holds what is fetched or built; give it a volume to keep it between runs.
ENV PATH=/opt/mobile-bench/bin:$PATH MOBILE_BENCH_CACHE=/var/cache/mobile-bench
RUN mobile-bench setup arm64 && chmod -R a+rwX "$MOBILE_BENCH_CACHE"

WORKDIR /work
ENTRYPOINT ["mobile-bench"]
CMD ["--help"]
