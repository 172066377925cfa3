package shop

import (
	"bytes"
	_ "embed" // for page.html
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

type pageData struct {
	Config
	Notice   string
	Session  string // "" when there is none
	User     string
	Products []Product
	Lines    []line
	Count    int
	Total    string
	Waited   time.Duration
}

func (s *Shop) render(w http.ResponseWriter, r *http.Request, v Visit, status int, notice string) {
	cart := v.Cart()
	data := pageData{
		Config:   s.cfg,
		Notice:   notice,
		User:     v.User(),
		Products: Catalog,
		Count:    cart.Count(),
		Waited:   waited(r).Round(10 * time.Microsecond),
	}
	data.Lines, data.Total = cart.lines()
	if known(v) {
		data.Session = v.ID()
	}
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, data); err != nil {
		http.Error(w, "The page could not be rendered.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the client has left
}
