// Package deploy_test checks the manifests, as far as that goes without starting containers.
package deploy_test

import (
	"bytes"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	compose "github.com/compose-spec/compose-go/v2/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const lockWait = 10 * time.Second // the default of Config.LockWait

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// known are the variables that the program documents.
func known(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, m := range regexp.MustCompile(`env\("([A-Z_]+)"\)`).FindAllStringSubmatch(read(t, "../nethttp/settings.go"), -1) {
		names[m[1]] = true
	}
	if len(names) < 9 {
		t.Fatalf("found only %v", names)
	}
	names["GOMEMLIMIT"] = true // of the Go runtime
	return names
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ends checks the times of a replica's end against each other.
func ends(t *testing.T, drain, grace string, killed time.Duration) {
	t.Helper()
	if duration(t, grace) <= lockWait || killed < duration(t, drain)+duration(t, grace)+5*time.Second {
		t.Errorf("it drains for %s, finishes for %s and is killed after %v", drain, grace, killed)
	}
}

// redisTakes starts a server with the arguments of a manifest.
func redisTakes(t *testing.T, args []string) {
	t.Helper()
	if !strings.Contains(strings.Join(args, " "), "--maxmemory-policy noeviction") {
		t.Errorf("sessions are evicted: %v", args)
	}
	at := slices.Index(args, "--requirepass")
	if at < 0 {
		t.Fatalf("Redis has no password: %v", args)
	}
	rdb := redistest.Start(t, slices.Delete(slices.Clone(args), at, at+2)...).Client(t) // the harness has no password
	for _, name := range []string{"maxmemory-policy", "appendonly", "appendfsync"} {
		got := rdb.ConfigGet(t.Context(), name).Val()[name]
		if at := slices.Index(args, "--"+name); at < 0 || got != args[at+1] {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestCompose(t *testing.T) {
	t.Parallel()
	opts, err := cli.NewProjectOptions([]string{"compose.yaml"}, cli.WithoutEnvironmentResolution)
	if err != nil {
		t.Fatal(err)
	}
	project, err := opts.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	variables := known(t)
	caddy, replicas := read(t, "Caddyfile"), 0
	for name, s := range project.Services {
		if s.Build == nil {
			if !slices.Contains([]string{"caddy", "redis"}, strings.Split(s.Image, ":")[0]) {
				t.Errorf("%s: %q is no official image", name, s.Image)
			}
			continue
		}
		replicas++
		if _, err := os.Stat(s.Build.Context + "/" + s.Build.Dockerfile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for v := range s.Environment {
			if !variables[v] {
				t.Errorf("%s: the program does not know %s", name, v)
			}
		}
		if !strings.Contains(caddy, name+":8080") {
			t.Errorf("the balancer does not know %s", name)
		}
		value := func(v string) string { return *s.Environment[v] }
		ends(t, value("DRAIN"), value("GRACE"), time.Duration(*s.StopGracePeriod))
	}
	if replicas != 3 || strings.Count(caddy, ":8080") != replicas+1 {
		t.Errorf("%d replicas, and the balancer says:\n%s", replicas, caddy)
	}
	redis := project.Services["redis"]
	redisTakes(t, redis.Command[1:])
	for _, p := range slices.Concat(slices.Collect(portsOf(project))...) {
		if p.HostIP != "127.0.0.1" {
			t.Errorf("port %s is open to the network", p.Published)
		}
	}
}

func portsOf(p *compose.Project) func(yield func([]compose.ServicePortConfig) bool) {
	return func(yield func([]compose.ServicePortConfig) bool) {
		for s := range maps.Values(p.Services) {
			if !yield(s.Ports) {
				return
			}
		}
	}
}

// manifests are the objects of kubernetes.yaml by kind and name, each decoded as strictly as a server does it.
type manifests struct {
	secrets     map[string]*corev1.Secret
	configs     map[string]*corev1.ConfigMap
	services    map[string]*corev1.Service
	deployments map[string]*appsv1.Deployment
	sets        map[string]*appsv1.StatefulSet
	budgets     map[string]*policyv1.PodDisruptionBudget
}

func decode[T any](t *testing.T, text []byte, into map[string]*T, name string) {
	t.Helper()
	v := new(T)
	if err := yaml.UnmarshalStrict(text, v); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if into[name] != nil {
		t.Errorf("there are two of %s", name)
	}
	into[name] = v
}

func load(t *testing.T) manifests {
	t.Helper()
	all := manifests{
		map[string]*corev1.Secret{},
		map[string]*corev1.ConfigMap{},
		map[string]*corev1.Service{},
		map[string]*appsv1.Deployment{},
		map[string]*appsv1.StatefulSet{},
		map[string]*policyv1.PodDisruptionBudget{},
	}
	for text := range bytes.SplitSeq([]byte(read(t, "kubernetes.yaml")), []byte("\n---\n")) {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		if err := yaml.Unmarshal(text, &head); err != nil {
			t.Fatal(err)
		}
		switch name := head.Metadata.Name; head.APIVersion + " " + head.Kind {
		case "v1 Secret":
			decode(t, text, all.secrets, name)
		case "v1 ConfigMap":
			decode(t, text, all.configs, name)
		case "v1 Service":
			decode(t, text, all.services, name)
		case "apps/v1 Deployment":
			decode(t, text, all.deployments, name)
		case "apps/v1 StatefulSet":
			decode(t, text, all.sets, name)
		case "policy/v1 PodDisruptionBudget":
			decode(t, text, all.budgets, name)
		default:
			t.Errorf("no check for %s %s", head.APIVersion, head.Kind)
		}
	}
	return all
}

// inCluster are the objects that belong together.
type inCluster struct {
	manifests

	shop        *appsv1.Deployment
	redis       *appsv1.StatefulSet
	program     corev1.Container
	pods        map[string]corev1.PodTemplateSpec // by the names of what runs them
	matchLabels map[string]map[string]string
}

func kubernetes(t *testing.T) inCluster {
	t.Helper()
	all := load(t)
	shop, redis := all.deployments["shop"], all.sets["redis"]
	if shop == nil || redis == nil || all.budgets["shop"] == nil || all.configs["shop"] == nil || all.secrets["shop"] == nil {
		t.Fatal("an object is missing")
	}
	return inCluster{
		manifests: all, shop: shop, redis: redis, program: shop.Spec.Template.Spec.Containers[0],
		pods:        map[string]corev1.PodTemplateSpec{"shop": shop.Spec.Template, "redis": redis.Spec.Template},
		matchLabels: map[string]map[string]string{"shop": shop.Spec.Selector.MatchLabels, "redis": redis.Spec.Selector.MatchLabels},
	}
}

func TestKubernetesPods(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	for name, pod := range all.pods {
		c := pod.Spec.Containers[0]
		sec := c.SecurityContext
		if !*pod.Spec.SecurityContext.RunAsNonRoot || !*sec.ReadOnlyRootFilesystem || *sec.AllowPrivilegeEscalation {
			t.Errorf("%s has more rights than it needs", name)
		}
		if c.ReadinessProbe == nil || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s has no readiness probe, or no limit", name)
		}
		service := all.services[name]
		if service == nil || service.Spec.Ports[0].TargetPort.StrVal != c.Ports[0].Name {
			t.Errorf("no service leads to the port of %s", name)
			continue
		}
		for what, selector := range map[string]map[string]string{"its selector": all.matchLabels[name], "its service": service.Spec.Selector} {
			if !labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
				t.Errorf("%s does not match %s", what, name)
			}
		}
	}
	if b := all.budgets["shop"].Spec; b.MinAvailable.IntVal >= *all.shop.Spec.Replicas || !maps.Equal(b.Selector.MatchLabels, all.matchLabels["shop"]) {
		t.Errorf("the budget %v does not fit", b)
	}
	if r := all.shop.Spec.Strategy.RollingUpdate; r.MaxUnavailable.IntVal != 0 || r.MaxSurge.IntVal == 0 {
		t.Errorf("a deployment takes replicas away: %v", r)
	}
	redisTakes(t, all.pods["redis"].Spec.Containers[0].Args)
}

func TestKubernetesSettings(t *testing.T) {
	t.Parallel()
	all, variables := kubernetes(t), known(t)
	c, config, secret := all.program, all.configs["shop"], all.secrets["shop"]
	if c.EnvFrom[0].ConfigMapRef.Name != config.Name || c.EnvFrom[1].SecretRef.Name != secret.Name {
		t.Fatal("the program gets no settings")
	}
	names := slices.Collect(maps.Keys(config.Data))
	for v := range secret.StringData {
		names = append(names, v)
		if !strings.HasPrefix(secret.StringData[v], "CHANGE-ME") {
			t.Errorf("%s looks like a real secret", v)
		}
	}
	for _, v := range names {
		if !variables[v] && v != "REDIS_PASSWORD" {
			t.Errorf("the program does not know %s", v)
		}
	}
	if c.Env[0].Name != "REDIS_URL" || !strings.HasSuffix(c.Env[0].Value, "@"+all.services["redis"].Name+":6379") {
		t.Errorf("the program does not find Redis: %v", c.Env)
	}
	limit, err := resource.ParseQuantity(strings.TrimSuffix(config.Data["GOMEMLIMIT"], "B"))
	if most := c.Resources.Limits.Memory(); err != nil || limit.Value()*10 > most.Value()*9 {
		t.Errorf("GOMEMLIMIT is %q, %v, and the container may have %v", config.Data["GOMEMLIMIT"], err, most)
	}
	ends(t, config.Data["DRAIN"], config.Data["GRACE"], time.Duration(*all.shop.Spec.Template.Spec.TerminationGracePeriodSeconds)*time.Second)
}

func TestKubernetesProbes(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	c, config := all.program, all.configs["shop"]
	source := read(t, "../nethttp/main.go")
	for _, probe := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
		if !strings.Contains(source, `"GET `+probe.HTTPGet.Path+`"`) || probe.HTTPGet.Port.StrVal != c.Ports[0].Name {
			t.Errorf("the program does not answer %s", probe.HTTPGet.Path)
		}
	}
	noticed := time.Duration(c.ReadinessProbe.PeriodSeconds*c.ReadinessProbe.FailureThreshold) * time.Second
	if drain := duration(t, config.Data["DRAIN"]); drain < 2*noticed {
		t.Errorf("it drains for %v, and readiness is noticed after %v", drain, noticed)
	}
}

// The image is built from what is there, without root.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := read(t, "Dockerfile")
	for _, want := range []string{"FROM golang:" + goVersion(t) + " AS build", "go build -trimpath", "./nethttp\n", "FROM scratch", "USER 65532:65532"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// goVersion is the minor version that the module needs.
func goVersion(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))[1]
}
