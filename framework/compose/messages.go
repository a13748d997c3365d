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
	keyInText   = regexp.MustCompile(`\b(services|networks|volumes|secrets|configs|include|models|jobs)(\.[\w./-]+|(\.?\[[\w.-]*\]))+`)
	lineInText  = regexp.MustCompile(`line (\d+)(?:, column (\d+))?: `)
	fileInText  = regexp.MustCompile(`env file (\S+) not found`)
	spaceInText = regexp.MustCompile(`\s+`)
)

// shorter rewords compose-go's messages about a key.
var shorter = strings.NewReplacer(
	"must be a array", "must be a list",
	"failed to cast to expected type: ", "",
)

// problemOf makes a Problem of a message of compose-go. compose-go knows no positions,
// but most of its messages name a key or a line.
func (l *loading) problemOf(text string) app.Problem {
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
		return yamlProblem(file, text)
	}
	if m := fileInText.FindStringSubmatch(text); m != nil {
		return app.Problem{Position: l.sources.mention(regexp.QuoteMeta(filepath.Base(m[1])) + "$"), Text: m[0]}
	}
	key := strings.TrimRight(keyInText.FindString(text), ".-")
	if key == "" {
		return app.Problem{Position: app.Position{File: file}, Text: text}
	}
	return l.keyProblem(key, text)
}

// yamlProblem makes a Problem of a YAML library's "line 3, column 4: text".
func yamlProblem(file, text string) app.Problem {
	p := app.Problem{Position: app.Position{File: file}}
	if found := lineInText.FindAllStringSubmatchIndex(text, -1); found != nil {
		last := found[len(found)-1]
		match := lineInText.FindStringSubmatch(text[last[0]:])
		p.Position.Line, _ = strconv.Atoi(match[1])
		p.Position.Column, _ = strconv.Atoi(match[2]) // 0 if there is none
		text = text[last[1]:]
	}
	p.Text = "bad YAML: " + text
	return p
}

func (l *loading) keyProblem(key, text string) app.Problem {
	p := app.Path(strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) }))
	text = strings.TrimPrefix(text, "error while interpolating ")
	if _, template, ok := strings.Cut(text, "You may need to escape any $ with another $. "); ok {
		text = fmt.Sprintf("bad variable in %q; write $$ for a $ that begins no variable", template)
	}
	if rest, ok := strings.CutPrefix(text, key); ok {
		text = strings.TrimLeft(rest, ":[]. ")
	}
	return app.Problem{Position: l.sources.find(p), Path: p.String(), Text: shorter.Replace(text)}
}

// logMutex guards the process's only logrus logger, to which compose-go writes its
// warnings.
var logMutex sync.Mutex

// captureLog makes warnings of the lines that compose-go logs, until the caller calls
// restore.
func (l *loading) captureLog() (restore func()) {
	logMutex.Lock()
	logger := logrus.StandardLogger()
	out, hooks := logger.Out, logger.ReplaceHooks(logrus.LevelHooks{})
	logger.SetOutput(io.Discard)
	logger.AddHook(logHook{l})
	return func() {
		logger.SetOutput(out)
		logger.ReplaceHooks(hooks)
		logMutex.Unlock()
	}
}

// logHook makes a warning of each log line.
type logHook struct{ loading *loading }

// Levels implements logrus.Hook.
func (logHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (h logHook) Fire(entry *logrus.Entry) error {
	text := entry.Message
	if strings.Contains(text, "attribute `version` is obsolete") {
		return nil // parseSources has warned, with the position
	}
	var where app.Position
	if _, rest, ok := strings.Cut(text, `The "`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		where = h.loading.sources.mention(`\$\{?` + regexp.QuoteMeta(name) + `\b`)
	}
	h.loading.AddWarning(app.Warning{Position: where, Text: text})
	return nil
}
