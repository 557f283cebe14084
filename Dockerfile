# Side by Side as a small image: one binary on a base without a shell, run by a user that is not root.
#
# The release build has TLS to PostgreSQL (feature `tls`), which builds OpenSSL from source: that is most of the time.
FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --features tls \
    && mkdir /empty-data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/sidebyside /usr/local/bin/sidebyside
COPY --from=build --chown=nonroot:nonroot /empty-data /data
# The base has no shell and no curl, so there is no HEALTHCHECK: let whoever runs it ask /readyz.
ENV BIND=0.0.0.0:8080 DATA_DIR=/data LOG_FORMAT=json
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/sidebyside"]
CMD ["serve"]
