package compose

import "tombolo/framework/app"

// report collects what is wrong with the files of one Load.
type report struct {
	app.Report
	items func(app.Path) int // how many items the file's list at a path has
}

// item is the path of item i of n below p. It is p itself where the file's list
// is not the list of n: ranges of ports become several items, and several files'
// lists one.
func (r *report) item(p app.Path, i, n int) app.Path {
	if r.items != nil && r.items(p) != n {
		return p
	}
	return p.Item(i)
}
