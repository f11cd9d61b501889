#!/usr/bin/env bash
# `fetch.sh DIRECTORY TARGET`: fetches what DIRECTORY/pom.xml needs to run, with
# Maven, into TARGET. DIRECTORY/sha256 lists the files; if they differ from it,
# there is no TARGET. Maven's own plugins are not checked: they run before.
set -euo pipefail
export LC_ALL=C # Sorts the files as the list is sorted.

directory="$1" target="$2" partial="$(realpath -m "$2.partial")"

rm -rf "$partial" "$target"
mkdir -p "$partial"
mvn -B -q -f "$directory/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$partial"
(cd "$partial" && sha256sum -- *) >"$partial.sha256"
if ! diff "$directory/sha256" "$partial.sha256" >&2; then
  echo "fetch: error: what Maven fetched (>) must be what $directory/sha256" \
    "lists (<); $partial is left for you to look at" >&2
  exit 1
fi
rm "$partial.sha256"
mv "$partial" "$target"
