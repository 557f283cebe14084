# The commands that a developer types most. `just` alone lists them.

_list:
  @just --list --unsorted

# Start the server on SQLite in ./data (http://127.0.0.1:8080)
run:
  cargo run --release

# Check that everything compiles, lints included
check:
  cargo clippy --all-targets --locked -- -D warnings

# Format the source
format:
  cargo fmt --all

# Run the tests on SQLite; with a name only those whose names contain it
test *NAME:
  cargo test {{NAME}}

# Run the tests on SQLite and on a PostgreSQL that is gone afterwards
test-both *NAME:
  scripts/throwaway-postgres.sh sh -c 'TEST_DATABASE_URL=$THROWAWAY_DATABASE_URL cargo test {{NAME}}'

# Run the long forms of the model, crash and race tests on both databases (hours)
test-long:
  scripts/throwaway-postgres.sh sh -c 'SIDEBYSIDE_LONG=1 TEST_DATABASE_URL=$THROWAWAY_DATABASE_URL cargo test'

# Run everything that must hold before a change lands
ci:
  .ci/run

# Measure matching and sign-ups
bench:
  cargo bench --bench matching
  cargo bench --bench signups
