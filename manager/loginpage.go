package manager

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// nextParam is the query parameter in which the login page gets the page that the visitor wanted.
const nextParam = "next"

// maxReturn bounds a return target, in bytes.
const maxReturn = 2048

// ReturnTo returns the page that a visitor wanted to see when RequireUser or RequireFresh sent them to
// Config.LoginURL. The handler of the login page redirects there after the login:
//
//	http.Redirect(w, r, manager.ReturnTo(r, "/"), http.StatusSeeOther)
//
// It reads the parameter "next" of the URL's query or, if that has none, of the form in the body. A form without an
// action attribute posts to the URL of its page and keeps the parameter; any other form needs a hidden field "next".
//
// The result is a path of this site, with its query. Anyone can write a link to the login page with a parameter of
// their choice, so ReturnTo returns fallback unless browsers and servers would read the parameter as such a path. It
// refuses other schemes and hosts, "//host" and "/\host", both also percent-encoded, control characters, and what is
// longer than 2,048 bytes.
func ReturnTo(r *http.Request, fallback string) string {
	target := r.URL.Query().Get(nextParam)
	if target == "" && r.Method == http.MethodPost {
		target = r.PostFormValue(nextParam)
	}
	if safe, ok := localTarget(target); ok {
		return safe
	}
	return fallback
}

// localTarget reports whether a text is a path of this site, with or without a query, and returns it escaped.
func localTarget(text string) (string, bool) {
	if len(text) > maxReturn || !strings.HasPrefix(text, "/") {
		return "", false
	}
	u, err := url.Parse(text) // refuses control characters
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !plainPath(u.EscapedPath()) {
		return "", false
	}
	return u.String(), true
}

// plainPath reports whether a path stays one however often it is decoded: proxies and handlers between here and the
// browser may decode and clean it. "//" and "\" could turn into the beginning of a host, and browsers drop tabs and line
// ends.
func plainPath(path string) bool {
	for {
		if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.ContainsFunc(path, unsafeInPath) {
			return false
		}
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			return true
		}
		path = decoded
	}
}

func unsafeInPath(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }

// askLogin answers a request that needs a login. With Config.LoginURL it redirects a browser there, by 303 whatever the
// method: the login page is fetched with GET, and a body never travels to it. A script that calls fetch gets 401 as it does without a
// LoginURL, since it would take the login page for the answer.
func (m *Manager) askLogin(w http.ResponseWriter, r *http.Request) {
	mode := r.Header.Get("Sec-Fetch-Mode") // of all current browsers
	if m.login == nil || m.isLogin(r) || mode != "" && mode != "navigate" {
		unauthorized(w, r)
		return
	}
	to := *m.login
	if back, ok := localTarget(wanted(r)); ok {
		if to.RawQuery != "" {
			to.RawQuery += "&"
		}
		to.RawQuery += nextParam + "=" + url.QueryEscape(back)
	}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
}

// isLogin reports whether a request is for the login page itself, which would be redirected to itself for ever.
func (m *Manager) isLogin(r *http.Request) bool {
	return r.URL.Path == m.login.Path && (m.login.Host == "" || strings.EqualFold(m.login.Host, r.Host))
}

// wanted is the page to show after a login: the one that was asked for or, if the request would change something and
// so cannot be repeated with GET, the page of this site that it was sent from.
func wanted(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if strings.HasPrefix(r.RequestURI, "/") {
			return r.RequestURI // what the client asked for; r.URL has lost what http.StripPrefix took
		}
		return r.URL.RequestURI()
	}
	from, err := url.Parse(r.Referer())
	if err != nil || !strings.EqualFold(from.Host, r.Host) {
		return ""
	}
	return from.RequestURI()
}

// parseLogin reads Config.LoginURL; nil if it is empty.
func parseLogin(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "" && u.Host == "" && plainPath(u.EscapedPath()) ||
		(u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil) {
		return u, nil
	}
	return nil, errors.New("LoginURL: set a path of this site such as /login, or an https URL without a user")
}
