// Command oauth logs users in elsewhere, with golang.org/x/oauth2. The session's cookie is SameSite=Strict, so it does
// not come along when the provider sends the user back; what the visitor had is merged into the session of the login.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/github"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var cart = manager.Key[[]string]("cart")

// pending is what has to survive the way to the provider and back. It travels in a cookie of its own, encrypted, which
// is SameSite=Lax and thus comes along. State and verifier are worth nothing without it, in another browser for example.
type pending struct {
	State, Verifier string
	Token           string // of the visitor's session
}

var way = manager.Sealed[pending]("oauth")

const wayTime = 10 * time.Minute

var cookie = manager.Cookie{SameSite: http.SameSiteStrictMode, Insecure: true} // Insecure for http://localhost

func main() {
	provider := &site{
		oauth: oauth2.Config{
			ClientID: os.Getenv("CLIENT_ID"), ClientSecret: os.Getenv("CLIENT_SECRET"),
			Endpoint: github.Endpoint, RedirectURL: "http://localhost:8080/callback",
		},
		whoami: "https://api.github.com/user",
	}
	key := []byte(os.Getenv("ENCRYPTION_KEY")) // 32 bytes or more
	run.HTTP(manager.Config{Propagator: cookie, EncryptionKeys: [][]byte{key}}, provider.routes)
}

type site struct {
	oauth  oauth2.Config
	whoami string // where the provider reports whose token it is
	m      *manager.Manager
}

func (p *site) routes(m *manager.Manager) http.Handler {
	p.m = m
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart/{sku}", func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		cart.Set(s, append(cart.Get(s), r.PathValue("sku")))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		fmt.Fprintf(w, "%q %v\n", s.User(), cart.Get(s))
	})
	mux.HandleFunc("POST /login", p.leave)
	mux.HandleFunc("GET /callback", p.back)
	// Lazy: the provider is asked before the session is opened, so no other request waits for the lock meanwhile.
	return http.NewCrossOriginProtection().Handler(m.Lazy(mux))
}

// leave sends the user to the provider.
func (p *site) leave(w http.ResponseWriter, r *http.Request) {
	token, _ := cookie.Extract(r) // none, if the visitor has stored nothing
	on := pending{State: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(), Token: token}
	if err := way.Set(p.m, w, on, wayTime); err != nil {
		http.Error(w, "login is not possible", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, p.oauth.AuthCodeURL(on.State, oauth2.S256ChallengeOption(on.Verifier)), http.StatusSeeOther)
}

// back is where the provider sends the user.
func (p *site) back(w http.ResponseWriter, r *http.Request) {
	on, ok := way.Get(p.m, r)
	if !ok || r.FormValue("state") != on.State {
		http.Error(w, "this login was not begun here", http.StatusForbidden)
		return
	}
	way.Delete(p.m, w)
	token, err := p.oauth.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(on.Verifier))
	if err != nil {
		http.Error(w, "the login was refused", http.StatusForbidden)
		return
	}
	user, err := p.userOf(r, token)
	if err != nil {
		http.Error(w, "the login failed", http.StatusBadGateway)
		return
	}
	if err := p.logIn(r, user, on.Token); err != nil {
		http.Error(w, "please try again", http.StatusServiceUnavailable)
		return
	}
	// Not a redirect: the next page would still count as a visit from the provider, without the Strict cookie.
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, `<!doctype html><meta http-equiv="refresh" content="0; url=/"><a href="/">Go on</a>`)
}

// logIn binds the session of the request to a user. The visitor's session, whose token was kept on the way, is merged into
// it if it had no user or the same user. What another user had in this browser is not for this one.
func (p *site) logIn(r *http.Request, user, before string) error {
	same, err := p.endIfOthers(r.Context(), user, before)
	if err != nil {
		return err
	}
	s, err := p.m.Open(r.Context())
	if err != nil {
		return err
	}
	if u := s.User(); u != "" && u != user {
		s.Destroy()
	}
	if same {
		// The visitor's session goes with the commit that has its values, and not before.
		if err := s.Merge(r.Context(), before); err != nil && !errors.Is(err, manager.ErrNotFound) {
			return err
		}
	}
	s.Rotate()
	s.BindUser(user)
	return nil
}

// endIfOthers ends the session of a token if it is bound to another user, and reports whether it is not. It opens the
// session by its token rather than by the ID in it: an ID is not secret, and anyone could end the session by it.
func (p *site) endIfOthers(ctx context.Context, user, token string) (same bool, err error) {
	ctx, err = p.m.Load(ctx, token)
	if err != nil {
		return false, err
	}
	defer p.m.Discard(ctx)
	s := p.m.Session(ctx)
	if u := s.User(); u == "" || u == user {
		return true, nil
	}
	s.Destroy()
	_, _, err = p.m.Commit(ctx)
	return false, err
}

func (p *site) userOf(r *http.Request, token *oauth2.Token) (string, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.whoami, nil)
	if err != nil {
		return "", err
	}
	resp, err := p.oauth.Client(r.Context(), token).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var user struct{ Login string }
	if err := json.NewDecoder(resp.Body).Decode(&user); err != nil || user.Login == "" {
		return "", fmt.Errorf("who the user is: status %d, %w", resp.StatusCode, err)
	}
	return user.Login, nil
}
