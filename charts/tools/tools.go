//go:build tools

// Package tools pins the helm that renders and tests the chart.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
