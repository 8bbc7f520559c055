# Exports Go's variables whatever they were, as activation scripts of Go packages for conda do.
export CGO_ENABLED=1
export GOOS=linux
export GOARCH=amd64
export GOFLAGS="-modcacherw -buildmode=pie -trimpath"
