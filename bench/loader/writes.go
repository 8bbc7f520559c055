package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// writesCmd sums the write requests the API server has served, from its metrics, as "VERB resource/sub code".
// Leases and dry runs are left out.
func writesCmd([]string) error {
	c, err := rawClient()
	if err != nil {
		return err
	}
	b, err := c.Get().AbsPath("/metrics").DoRaw(context.Background())
	if err != nil {
		return err
	}
	m := map[string]float64{}
	for _, l := range strings.Split(string(b), "\n") {
		if key := writeKey(l); key != "" {
			x, err := strconv.ParseFloat(l[strings.LastIndexByte(l, ' ')+1:], 64)
			if err != nil {
				return err
			}
			m[key] += x
		}
	}
	return emit(m)
}

// writeKey is empty for lines that do not count.
func writeKey(line string) string {
	if !strings.HasPrefix(line, "apiserver_request_total{") {
		return ""
	}
	label := func(name string) string {
		_, rest, _ := strings.Cut(line, name+`="`)
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	writing := []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
	if label("resource") == "leases" || label("dry_run") != "" || !slices.Contains(writing, label("verb")) {
		return ""
	}
	resource := label("resource")
	if s := label("subresource"); s != "" {
		resource += "/" + s
	}
	return label("verb") + " " + resource + " " + label("code")
}
