package framework

import (
	"fmt"

	"tombolo/framework/app"
)

// maxServices bounds how long one look at an app may keep the framework.
const maxServices = 500

// check refuses what cannot have come out of the app package: the API is open to
// others as well.
func check(wanted app.App) error {
	if n := len(wanted.Services); n > maxServices {
		return fmt.Errorf("%d services: %d can be had at most", n, maxServices)
	}
	return wanted.Validate()
}
