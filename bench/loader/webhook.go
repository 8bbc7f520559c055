package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// webhook is one endpoint and the review that is sent to it, as the bytes of one HTTP/1.1 request.
type webhook struct {
	addr    string
	request []byte
	uid     string
}

func newWebhook(address string, review []byte) (*webhook, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	var r struct{ Request struct{ UID string } }
	if err := json.Unmarshal(review, &r); err != nil {
		return nil, fmt.Errorf("review: %w", err)
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", u.RequestURI(), u.Host, len(review))
	return &webhook{addr: u.Host, request: append([]byte(head), review...), uid: r.Request.UID}, nil
}

// connection is one keep-alive TLS connection. The serving certificate is the harness's own and not verified.
type connection struct {
	hook *webhook
	conn *tls.Conn
	in   *bufio.Reader
	body []byte
}

func (w *webhook) dial() (*connection, error) {
	c, err := tls.Dial("tcp", w.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return nil, err
	}
	return &connection{hook: w, conn: c, in: bufio.NewReaderSize(c, 32<<10)}, nil
}

func (c *connection) close() { _ = c.conn.Close() }

// ask sends the review once; the body is valid until the next call.
func (c *connection) ask() ([]byte, error) {
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(c.hook.request); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	buf := bytes.NewBuffer(c.body[:0])
	_, err = io.Copy(buf, resp.Body)
	_ = resp.Body.Close()
	c.body = buf.Bytes()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %.200s", resp.StatusCode, c.body)
	}
	return c.body, err
}

// check gives the JSONPatch of an answer, or why the answer is wrong.
func (w *webhook) check(body []byte) ([]byte, error) {
	var a struct {
		Response struct {
			UID       string
			Allowed   bool
			PatchType string
			Patch     string
		}
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("answer %.200q: %w", body, err)
	}
	patch, err := base64.StdEncoding.DecodeString(a.Response.Patch)
	switch {
	case err != nil:
		return nil, fmt.Errorf("patch: %w", err)
	case !a.Response.Allowed || a.Response.UID != w.uid:
		return nil, fmt.Errorf("uid %q allowed %t, want %q true", a.Response.UID, a.Response.Allowed, w.uid)
	case a.Response.PatchType != "JSONPatch" || !bytes.Contains(patch, []byte("GOTOOLCHAIN")) || !bytes.Contains(patch, []byte("/etc/gobuildenv")):
		return nil, fmt.Errorf("patchType %q patch %.200q does not inject the environment", a.Response.PatchType, patch)
	}
	return patch, nil
}
