package main

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"

	"gobuildenv.dev/bench/peer/api"

	corev1 "k8s.io/api/core/v1"
)

const (
	labelEnv       = "gobuildenv.dev/env"
	annRevision    = "gobuildenv.dev/revision"
	mountPath      = "/etc/gobuildenv"
	volumeName     = "gobuildenv"
	cacheDir       = "/var/cache/gobuildenv"
	fieldManager   = "gobuildenv-peer"
	managedByLabel = "app.kubernetes.io/managed-by"
)

// proxies is GOPROXY.
func proxies(s *api.GoBuildEnvSpec) string {
	u := make([]string, 0, len(s.Modules.Proxies))
	for _, p := range s.Modules.Proxies {
		u = append(u, p.URL)
	}
	if len(u) == 0 {
		return "https://goproxy.example,direct"
	}
	return strings.Join(u, ",")
}

// cgoEnabled is CGO_ENABLED.
func cgoEnabled(s *api.GoBuildEnvSpec) string {
	if s.Cgo.Policy == "" || s.Cgo.Policy == "Disabled" {
		return "0"
	}
	return "1"
}

// condaPrefix is where conda is.
func condaPrefix(s *api.GoBuildEnvSpec) string {
	if s.Conda.Prefix == "" {
		return "/opt/conda"
	}
	return s.Conda.Prefix
}

// envVars is what the webhook injects; the same twelve as ours, in this order.
func envVars(s *api.GoBuildEnvSpec) []corev1.EnvVar {
	return []corev1.EnvVar{
		{Name: "GOENV", Value: mountPath + "/go.env"}, {Name: "GOROOT"},
		{Name: "GOTOOLCHAIN", Value: "go" + s.Toolchain.Version}, {Name: "GOFLAGS"},
		{Name: "GO111MODULE"}, {Name: "GOWORK"}, {Name: "GOPATH", Value: cacheDir + "/work"},
		{Name: "GOMODCACHE", Value: cacheDir + "/mod"}, {Name: "GOCACHE", Value: cacheDir + "/build"},
		{Name: "GOPROXY", Value: proxies(s)}, {Name: "GOPRIVATE", Value: strings.Join(s.Modules.Private, ",")},
		{Name: "CGO_ENABLED", Value: cgoEnabled(s)},
	}
}

// clears are the variables that conda sets and Go must not see.
var clears = []string{"GOROOT", "GOFLAGS", "GO111MODULE", "GOOS", "GOARCH", "CC", "CXX", "CPP", "LD", "AR", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CGO_CFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS", "PKG_CONFIG_PATH"}

// render gives the ConfigMap data of a spec: go.env, activate.sh, deactivate.sh, go (launcher); about 3 KB.
func render(s *api.GoBuildEnvSpec) map[string]string {
	prefix := condaPrefix(s)
	root := cacheDir + "/toolchains/go" + s.Toolchain.Version
	var ge, ac, de strings.Builder
	for _, e := range envVars(s) {
		if e.Name != "GOENV" {
			ge.WriteString(e.Name + "=" + e.Value + "\n")
		}
	}
	ac.WriteString("# Sourced by conda on activation and by the build shell: gives Go its own environment.\n# shellcheck shell=sh\n")
	de.WriteString("# Sourced by conda on deactivation: puts back what activate.sh saved.\n# shellcheck shell=sh\n")
	for _, v := range clears {
		ac.WriteString("if [ -n \"${" + v + "+x}\" ]; then GBE_SAVED_" + v + "=\"$" + v + "\"; unset " + v + "; fi\n")
		de.WriteString("[ -n \"${GBE_SAVED_" + v + "+x}\" ] && export " + v + "=\"$GBE_SAVED_" + v + "\"; unset GBE_SAVED_" + v + "\n")
	}
	for _, e := range envVars(s) {
		ac.WriteString("export " + e.Name + "='" + strings.ReplaceAll(e.Value, "'", `'\''`) + "'\n")
		de.WriteString("unset " + e.Name + "\n")
	}
	ac.WriteString("GBE_SAVED_PATH=\"$PATH\"\nexport PATH=\"" + root + "/bin:$PATH\"\n")
	de.WriteString("export PATH=\"$GBE_SAVED_PATH\"; unset GBE_SAVED_PATH\n")
	launcher := "#!/bin/sh\n# Runs the toolchain of this environment with conda's compilers out of the way.\nset -eu\n" +
		"CONDA_PREFIX=\"${CONDA_PREFIX:-" + prefix + "}\"\n. " + mountPath + "/activate.sh\n" +
		"if [ ! -x " + root + "/bin/go ]; then\n  echo \"gobuildenv: no toolchain at " + root + "\" >&2\n  exit 127\nfi\nexec " + root + "/bin/go \"$@\"\n"
	return map[string]string{"go.env": ge.String(), "activate.sh": ac.String(), "deactivate.sh": de.String(), "go": launcher}
}

// revision is the content hash of the data, over sorted keys with length framing by NUL.
func revision(data map[string]string) string {
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	h := sha256.New()
	for _, k := range keys {
		h.Write([]byte(k))
		h.Write([]byte{0})
		h.Write([]byte(data[k]))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}
