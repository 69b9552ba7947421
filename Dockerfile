# The image: one static binary, the public CA roots, and nothing else. It runs as nobody in particular (65532), with a read-only root.
#
#   docker build -t countersign .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/countersign --push .
#
# Each platform is built by a compiler of that platform: aws-lc brings assembly for x86-64 and arm64.

FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY . .
# Naming the target keeps the flag away from build scripts and procedural macros, which cannot be static.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && case "$target" in x86_64-unknown-linux-gnu|aarch64-unknown-linux-gnu) ;; *) echo "not built for $target" >&2; exit 1 ;; esac \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile dist --target "$target" --bin countersign \
    && install -D -m 0755 "target/$target/dist/countersign" /image/countersign \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -d -m 0755 -o 65532 -g 65532 /image/run/countersign /image/var/log/countersign \
    && install -d -m 0755 /image/etc/countersign

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
# Where every command looks for countersign.toml.
WORKDIR /etc/countersign
# Peers, and the probes; the admin port stays on loopback.
EXPOSE 8443 9900
# Asks /live. A task that has to wait for its sidecar asks `health --ready`.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/countersign", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/countersign"]
CMD ["run"]
