# Side by Side as a small image: one binary, run by a user that is not root.
#
# The build has TLS to PostgreSQL (feature `tls`), which builds OpenSSL from source, and is optimised as a whole (profile
# `dist`): that is most of the time.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --profile dist --locked --features tls

FROM debian:12-slim
COPY --from=build /build/target/dist/sidebyside /usr/local/bin/sidebyside
RUN useradd --system --uid 65532 --home-dir /data --create-home --shell /usr/sbin/nologin sidebyside
USER 65532
WORKDIR /data
# The base has no curl, so there is no HEALTHCHECK: let whoever runs it ask /readyz.
ENV BIND=0.0.0.0:8080 DATA_DIR=/data LOG_FORMAT=json
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/sidebyside"]
CMD ["serve"]
