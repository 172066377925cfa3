package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fence   = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	inline  = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// Links within the repository lead to files, and to headings, that are there.
func TestLinks(t *testing.T) {
	t.Parallel()
	n := 0
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(page(t, name)), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			n++
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s leads nowhere", name, m[1])
				continue
			}
			if anchor != "" && !anchors(page(t, file))[anchor] {
				t.Errorf("%s: %s has no heading %q", name, file, anchor)
			}
		}
	}
	if n < 30 {
		t.Errorf("found %d links: are they still read?", n)
	}
}

// prose is a page without its code.
func prose(text string) string { return inline.ReplaceAllString(fence.ReplaceAllString(text, ""), "") }

// anchors are the headings of a page as GitHub names them.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// The index names every page of this folder.
func TestIndexIsComplete(t *testing.T) {
	t.Parallel()
	index := page(t, "README.md")
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("README.md does not lead to %s", name)
		}
	}
}
