"""Builds that fail in a conda image, and succeed in the same pod once it carries the label, with a
toolchain that go itself downloads; with one that is mounted: test_mounted_builds.py.
"""

import unittest

import harness
from harness.image_builds import (
    ACTIVATE, BEGIN, CONDA_CC, GENERIC, ImageBuilds, module)

SECONDS = 300
SQLITE = "github.com/mattn/go-sqlite3"
SQLITE_VERSION = "v1.14.22"


class Builds(ImageBuilds):
    @classmethod
    def setUpClass(cls):
        cls.start("builds", f"{SQLITE}@{SQLITE_VERSION}")
        cls.operator = harness.InCluster(cls.cluster, cls.proxy)
        cls.operators = (cls.operator,)

    def test_1_compiler_of_conda_is_absent(self):
        self.environment("absent-compiler")
        program = GENERIC.replace('"fmt"', '"fmt"\n\t_ "net"')
        before, after = self.both("absent-compiler", module("1.21") + program)
        self.fails_with(before, f'C compiler "{CONDA_CC}" not found')
        self.is_green(after, "built by go1.22.3 42")

    def test_2_activation_turns_cgo_on(self):
        self.environment("activation", cgo={"policy": "Disabled"})
        before, after = self.both("activation", ACTIVATE + "echo cgo=$(go env CGO_ENABLED) cc=$CC")
        self.is_green(before, f"cgo=1 cc={CONDA_CC}")
        self.is_green(after, f"cgo=0 cc={CONDA_CC}")

    def test_3_activation_clobbers_flags(self):
        """go 1.13 in go.mod: only -mod=vendor lets go look into vendor."""
        self.environment("vendored", flags=["-mod=vendor"])
        before, after = self.both("vendored", ACTIVATE + """\
echo "flags=$(go env GOFLAGS)"
cat > go.mod <<'MOD'
module example.test/m

go 1.13

require example.test/dep v1.0.0
MOD
mkdir -p vendor/example.test/dep
echo '# example.test/dep v1.0.0
example.test/dep' > vendor/modules.txt
printf 'package dep\\n\\nconst Answer = 42\\n' > vendor/example.test/dep/dep.go
cat > main.go <<'GO'
package main

import "example.test/dep"

func main() { println("vendored", dep.Answer) }
GO
go build -o program . && ./program 2>&1
""", {"GOFLAGS": "-mod=vendor"})
        self.fails_with(before, "flags=-modcacherw -buildmode=pie -trimpath\n")
        self.assertIn("example.test/dep", before[1])
        self.is_green(after, "flags=-mod=vendor\n", "vendored 42")

    def test_4_position_independent_programs_need_a_loader(self):
        """What activation exports makes a program without C ask for glibc's loader all the same,
        which an image made from scratch has not."""
        self.environment("scratch")
        before, after = self.both("scratch", ACTIVATE + "export CGO_ENABLED=0\n" + module("1.21")
                                  + GENERIC + """\
mkdir /tmp/scratch
cp program /tmp/scratch
chroot /tmp/scratch /program
""")
        self.fails_with(before, "No such file or directory")
        self.assertEqual(before[0], 127, before[1])
        self.assertIn("built by go1.21.13 42", before[1])
        self.is_green(after)
        self.assertEqual(after[1].count("built by go1.22.3 42\n"), 2, after[1])

    def test_5_sqlite_without_cgo(self):
        """It builds, and fails when it is used; with a compiler that exists it works."""
        self.environment("sqlite", cgo={"policy": "Enabled", "cc": "gcc", "cflags": ["-O0"]},
                         injection={"enforcement": "Enforce"})
        before, after = self.both("sqlite", f"""\
cat > main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"

	_ "{SQLITE}"
)

func main() {{
	db, err := sql.Open("sqlite3", ":memory:")
	var answer int
	if err == nil {{
		err = db.QueryRow("select 6 * 7").Scan(&answer)
	}}
	if err != nil {{
		panic(err)
	}}
	fmt.Println("sqlite says", answer)
}}
GO
""" + module("1.21", f"require {SQLITE} {SQLITE_VERSION}") + """\
go mod tidy
go build -buildmode=exe -o program .
echo built
./program 2>&1
""", {"CGO_ENABLED": "0"})
        self.fails_with(before, "Binary was compiled with 'CGO_ENABLED=0'")
        self.assertIn("built\n", before[1])
        self.is_green(after, "sqlite says 42")

    def test_6_goroot_of_another_version(self):
        """The image's GOROOT, here with a toolchain of another version than the go on PATH."""
        self.environment("other-goroot")
        before, after = self.both("other-goroot", module("1.21") + """\
image=/opt/conda/pkgs/go-1.20.14/go
other=$(GOROOT= GOTOOLCHAIN=go1.22.3 GOPATH=/tmp/other go env GOROOT)
mkdir -p "${image%/*}"
ln -s "$other" "$image"
export CGO_ENABLED=0
""" + GENERIC, begin=BEGIN)
        self.fails_with(before, "does not match go tool version")
        self.is_green(after, "built by go1.22.3 42")

    def test_7_module_wants_a_newer_go(self):
        """conda's activation forbids go to switch; AllowNewer lets it, Pinned says what is wrong."""
        newer = {"version": "1.21.13", "delivery": "Download", "switching": "AllowNewer"}
        self.environment("allow-newer", toolchain=newer)
        self.environment("pinned", "1.21.13")
        script = ACTIVATE + "export CGO_ENABLED=0\n" + module("1.22.3") + GENERIC
        wanted = "go.mod requires go >= 1.22.3 (running go 1.21.13"
        before, after = self.both("allow-newer", script)
        self.fails_with(before, wanted)
        self.is_green(after, "built by go1.22.3 42")
        _, pinned = self.both("pinned", script)
        self.fails_with(pinned, wanted)

    def test_8_language_version_is_not_a_release_of_the_proxy(self):
        """go.mod says "go 1.22": go asks for a release of its own guess, which the proxy has not."""
        self.environment("range", "1.22")
        before, after = self.both("range", module("1.22") + GENERIC)
        self.fails_with(before, "go: download go1.22.0 for linux/amd64: toolchain not available")
        self.is_green(after, "built by go1.22.3 42")

    def test_9_checksum_database_switched_off(self):
        """In the image's own GOENV file; no network but the proxy, which serves the database."""
        self.environment("sumdb")
        before, after = self.both("sumdb", "mkdir -p ~/.config/go\n"
                                  "echo GOSUMDB=off > ~/.config/go/env\n"
                                  "export CGO_ENABLED=0\n" + module("1.22.3") + GENERIC)
        self.fails_with(before, "checksum database disabled by GOSUMDB=off")
        self.is_green(after, "built by go1.22.3 42")

    def test_11_user_without_a_home(self):
        self.environment("homeless")
        before, after = self.both(
            "homeless", module("1.22.3") + GENERIC,
            {"HOME": "/"}, runAsUser=12345, runAsGroup=12345)
        self.fails_with(before, "could not create module cache")
        self.is_green(after, "built by go1.22.3 42")

    def test_12_race_detector_without_cgo(self):
        self.environment("race", cgo={"policy": "Enabled", "cc": "gcc"},
                         injection={"enforcement": "Enforce"})
        before, after = self.both(
            "race", module("1.21") + GENERIC.replace("go build", "go build -race -buildmode=exe"),
            {"CGO_ENABLED": "0"})
        self.fails_with(before, "-race requires cgo")
        self.is_green(after, "built by go1.22.3 42")


if __name__ == "__main__":
    unittest.main()
