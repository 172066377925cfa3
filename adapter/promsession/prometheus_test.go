package promsession_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"gopkg.in/yaml.v3"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// The alert rules are well-formed, fire when they should, and keep quiet when they should.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool := need.Program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "testdata/alerts_test.yml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests, err := os.ReadFile("testdata/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name := range alerts(t) {
		if n := strings.Count(string(tests), "alertname: "+name); n != 2 {
			t.Errorf("%s is tested %d times, want once that it fires and once that it does not", name, n)
		}
	}
}

// Every query of the dashboard and of the alerts is answered by a Prometheus that scrapes a manager under load.
func TestDashboardAndAlertsOnPrometheus(t *testing.T) {
	t.Parallel()
	binary := need.Program(t, "prometheus")
	m, metrics := observed(t, redistest.Shared(t).Client(t), redistest.Prefix(t))
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	target := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(target.Close)
	server := startPrometheus(t, binary, target.Listener.Addr().String())

	stop := make(chan struct{})
	var load sync.WaitGroup
	h := app(m)
	shared := visit(h, "/write", nil)
	for range 4 {
		load.Go(func() {
			for {
				visit(h, "/write", shared) // contended
				visit(h, "/ro", shared)
				visit(h, "/opt", visit(h, "/write", nil))
				visit(h, "/ro", &http.Cookie{Name: "session", Value: "made up"})
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	t.Cleanup(func() { close(stop); load.Wait() })

	if got := server.eventually(t, "count(holdfast_session_opens_total)"); len(got) == 0 {
		t.Fatal("Prometheus has scraped nothing")
	}
	for _, query := range dashboardQueries(t) {
		if got := server.eventually(t, query); len(got) == 0 {
			t.Errorf("no data for the dashboard's query %s", query)
		}
	}
	comparison := regexp.MustCompile(` (>|==) [0-9.]+$`)
	for name, query := range alerts(t) {
		if _, err := server.query(query); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := comparison.ReplaceAllString(query, "")
		if all == query {
			t.Errorf("%s compares with nothing: %s", name, query)
		}
		if got := server.eventually(t, all); len(got) == 0 {
			t.Errorf("%s looks at nothing: %s", name, all)
		}
	}
}

// alerts returns the expressions by the names of the rules.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r.Expr
		}
	}
	if len(all) == 0 {
		t.Fatal("alerts.yml has no alerts")
	}
	return all
}

// Each alert links to a heading of the runbook that is there.
func TestRunbookLinks(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(string(runbook), -1) {
		anchors[strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")] = true
	}
	links := regexp.MustCompile(`runbook_url: 'https://\S+/docs/operations\.md#(\S+)'`).FindAllStringSubmatch(string(rules), -1)
	if want := len(alerts(t)); len(links) != want {
		t.Errorf("%d links for %d alerts", len(links), want)
	}
	for _, link := range links {
		if !anchors[link[1]] {
			t.Errorf("the runbook has no heading %s", link[1])
		}
	}
}

// dashboardQueries returns the queries of all panels, with the variables filled in as Grafana does.
func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$manager", ".*", "$__rate_interval", "30s")
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q has no query", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, fill.Replace(target.Expr))
		}
	}
	if len(queries) == 0 {
		t.Fatal("dashboard.json has no queries")
	}
	return queries
}

// prometheusServer is one that the test has started.
type prometheusServer struct{ url string }

// startPrometheus starts one on a free loopback port that scrapes the target every quarter of a second. It ends with
// the test.
func startPrometheus(t *testing.T, binary, target string) *prometheusServer {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	rules, err := filepath.Abs("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("global: {scrape_interval: 250ms, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs:\n  - {job_name: holdfast, static_configs: [{targets: [%q]}]}\n", rules, target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for attempt := range 5 { // another process may take the port
		addr := freeAddress(t)
		ended := launchPrometheus(t, binary, "--config.file="+config, "--log.level=warn", "--web.listen-address="+addr,
			"--storage.tsdb.path="+filepath.Join(dir, fmt.Sprint("data", attempt)))
		if p := (&prometheusServer{url: "http://" + addr}); p.answers(t, ended) {
			return p
		}
	}
	t.Fatal("prometheus does not start")
	return nil
}

// freeAddress is one that nothing listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// launchPrometheus starts the program, which is killed with the test. The channel is closed when it has ended.
func launchPrometheus(t *testing.T, binary string, args ...string) (ended <-chan struct{}) {
	t.Helper()
	cmd := exec.Command(binary, args...) //nolint:noctx // ends in Cleanup
	dieWithParent(cmd)
	output, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus said:\n%s", said.String())
		}
	})
	return read
}

// answers waits until the server answers, or has ended.
func (p *prometheusServer) answers(t *testing.T, ended <-chan struct{}) (ok bool) {
	t.Helper()
	wait.Until(t, "prometheus answers or ends", func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		_, err := p.query("up")
		ok = err == nil
		return ok
	})
	return ok
}

// query asks for the present value of an expression.
func (p *prometheusServer) query(expr string) ([]any, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr)) //nolint:noctx // bounded by the client
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("query %s: %s", expr, answer.Error)
	}
	return answer.Data.Result, nil
}

// eventually asks until there is an answer that is not empty, for as long as a slow machine may need for a few scrapes.
func (p *prometheusServer) eventually(t *testing.T, expr string) []any {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		got, err := p.query(expr)
		if err != nil {
			t.Error(err)
			return nil
		}
		if len(got) > 0 || time.Now().After(deadline) {
			return got
		}
	}
}
