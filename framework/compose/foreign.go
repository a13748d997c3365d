package compose

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"tombolo/framework/app"
)

var (
	// keyInText is a key path as compose-go's messages write it.
	keyInText   = regexp.MustCompile(`\b(services|networks|volumes|secrets|configs|include|models|jobs)(\.[\w./-]+|(\.?\[[\w.-]*\]))+`)
	lineInText  = regexp.MustCompile(`line (\d+)(?:, column (\d+))?: `)
	fileInText  = regexp.MustCompile(`env file (\S+) not found`)
	spaceInText = regexp.MustCompile(`\s+`)
)

// place makes a Problem of a message of compose-go's: it has no positions, but
// most messages name a key or a line.
func (l *loading) place(text string) app.Problem {
	text = spaceInText.ReplaceAllString(strings.TrimSuffix(text, ": invalid compose project"), " ")
	file := l.sources.files[0].name
	for _, s := range l.sources.files {
		if s.path != stdin && strings.Contains(text, s.path) {
			file = s.name
			text = strings.ReplaceAll(text, s.path, s.name)
		}
	}
	text = strings.TrimPrefix(text, "validating "+file+": ")
	if lineInText.MatchString(text) {
		return lineProblem(file, text)
	}
	if m := fileInText.FindStringSubmatch(text); m != nil {
		return app.Problem{Position: l.sources.mention(regexp.QuoteMeta(filepath.Base(m[1])) + "$"), Text: m[0]}
	}
	key := strings.TrimRight(keyInText.FindString(text), ".-")
	if key == "" {
		return app.Problem{Position: app.Position{File: file}, Text: text}
	}
	return l.placeKey(key, text)
}

// lineProblem gives a YAML library's "line 3, column 4: text" its place.
func lineProblem(file, text string) app.Problem {
	found := lineInText.FindAllStringSubmatchIndex(text, -1)
	if len(found) == 0 {
		return app.Problem{Position: app.Position{File: file}, Text: "bad YAML: " + text}
	}
	last := lineInText.FindStringSubmatch(text[found[len(found)-1][0]:])
	line, _ := strconv.Atoi(last[1])
	column, _ := strconv.Atoi(last[2]) // 0 where there is none
	return app.Problem{
		Position: app.Position{File: file, Line: line, Column: column},
		Text:     "bad YAML: " + text[found[len(found)-1][1]:],
	}
}

// rewording says what compose-go says of a key in fewer words.
var rewording = strings.NewReplacer(
	"must be a array", "must be a list",
	"failed to cast to expected type: ", "",
)

func (l *loading) placeKey(key, text string) app.Problem {
	p := app.Path(strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) }))
	text = strings.TrimPrefix(text, "error while interpolating ")
	if _, template, ok := strings.Cut(text, "You may need to escape any $ with another $. "); ok {
		text = fmt.Sprintf("bad variable in %q; a $ of the text's own is written $$", template)
	}
	if rest, ok := strings.CutPrefix(text, key); ok {
		text = strings.TrimLeft(rest, ":[]. ")
	}
	return app.Problem{Position: l.sources.find(p), Path: p.String(), Text: rewording.Replace(text)}
}

// logging guards the one logger that compose-go writes its warnings to.
var logging sync.Mutex

// capture turns compose-go's log lines into warnings until the function that it
// returns is called.
func (l *loading) capture() (restore func()) {
	logging.Lock()
	logger := logrus.StandardLogger()
	out, hooks := logger.Out, logger.ReplaceHooks(logrus.LevelHooks{})
	logger.SetOutput(io.Discard)
	logger.AddHook(logHook{l})
	return func() {
		logger.SetOutput(out)
		logger.ReplaceHooks(hooks)
		logging.Unlock()
	}
}

// logHook makes a warning of a log line.
type logHook struct{ loading *loading }

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (h logHook) Fire(entry *logrus.Entry) error {
	text := entry.Message
	if strings.Contains(text, "attribute `version` is obsolete") {
		return nil // said with its position already
	}
	var where app.Position
	if _, rest, ok := strings.Cut(text, `The "`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		where = h.loading.sources.mention(`\$\{?` + regexp.QuoteMeta(name) + `\b`)
	}
	h.loading.report.AddWarning(app.Warning{Position: where, Text: text})
	return nil
}

// mention is the place of the first scalar that matches.
func (ss *sources) mention(expression string) app.Position {
	uses := regexp.MustCompile(expression)
	for _, s := range ss.files {
		for _, doc := range s.docs {
			if n := findScalar(doc, uses); n != nil {
				return app.Position{File: s.name, Line: n.Line, Column: n.Column}
			}
		}
	}
	if len(ss.files) == 0 {
		return app.Position{}
	}
	return app.Position{File: ss.files[0].name}
}
