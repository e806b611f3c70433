# `make demo` and `make test` do all their own set-up on Debian or Ubuntu with Python 3.11+, git and make.
PYTHON ?= python3
BIN := .venv/bin
export NO_ALBUMENTATIONS_UPDATE := 1

# Tests whose models are trained: once more in bfloat16, which some processors take by themselves.
TRAINED := $(addprefix tests/test_,inspect_fit.py inspect_tiled.py inspect_several.py pipeline_service.py)

.PHONY: demo test test-lowest lowest-pins texts system-packages static trained-in-bfloat16
.DEFAULT_GOAL := help

help:
	@echo "make demo         draw parts, train a small model, run the line and open the dashboard"
	@echo "make test         every check that lands code here"
	@echo "make test-lowest  what torch, Streamlit and SQLAlchemy carry, on the lowest versions of them that are admitted"
	@echo "make texts        the dashboard's texts, as they stand in the code, into the catalogues of the other languages"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; found: $$($(PYTHON) --version). Set PYTHON=python3.11."; exit 2; }
	@$(PYTHON) -m venv .venv \
		|| { rm -rf .venv; echo "Python cannot make a virtual environment. Install the Debian package python3-venv."; exit 2; }

.venv/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $@ .venv/installed

demo: .venv/installed
	$(BIN)/kizu demo

# A browser for the dashboard's tests, a font with Hangul for the reports', a GigE Vision camera of software and a broker for
# the line's.
system-packages:
	@missing=""; \
	command -v chromium >/dev/null || missing="chromium"; \
	[ -n "$$(find /usr/share/fonts -name 'NanumGothic.ttf' 2>/dev/null)" ] || missing="$$missing fonts-nanum"; \
	command -v arv-fake-gv-camera-0.8 >/dev/null || missing="$$missing aravis-tools"; \
	command -v arv-tool-0.8 >/dev/null || missing="$$missing aravis-tools-cli"; \
	[ -x /usr/sbin/mosquitto ] || missing="$$missing mosquitto"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then asroot=""; \
	elif sudo -n true 2>/dev/null; then asroot="sudo"; \
	else echo "The tests need these Debian packages: $$missing. Install them: sudo apt-get install $$missing"; exit 2; fi; \
	$$asroot apt-get update -qq && $$asroot env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing

# What is new stands there without a translation, what is gone is left out; a test says what is missing.
TEMPLATE := .venv/texts.pot
CATALOGUES := $(wildcard dashboard/kizu_dashboard/language/*.po)
texts: .venv/installed
	$(BIN)/pybabel -q extract -F pyproject.toml -k say -k say_count:1,2 -k marked --no-default-keywords --add-location=file \
		--sort-by-file --no-wrap --omit-header -o $(TEMPLATE) .
	@for po in $(CATALOGUES); do $(BIN)/pybabel -q update -i $(TEMPLATE) -l $$(basename $$po .po) -o $$po --no-fuzzy-matching \
		--ignore-obsolete --omit-header --no-wrap || exit 1; done
	@rm $(TEMPLATE)

# What reads the code takes one core: the first tests run beside it. Then all, in the order that tests/schedule.py gives the files,
# in twice as many processes as two cores, as they often wait: for browsers, for servers, for the line's clock.
test: system-packages .venv/installed-test
	@$(MAKE) --no-print-directory -j 2 --output-sync=target static trained-in-bfloat16
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

static:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

trained-in-bfloat16:
	KIZU_TEST_PRECISION=bfloat16 $(BIN)/pytest -n 2 --dist loadfile $(TRAINED)

# The lowest versions that pyproject.toml admits of what moves most, in an environment of its own; all else as in constraints.txt.
# SQLAlchemy carries every test of the records, also those that do not name it.
LOWEST := torch|torchvision|streamlit|sqlalchemy
LOWEST_TESTS = $(sort $(wildcard tests/test_db_*.py) $(shell grep -lE '^ *(import|from) ($(LOWEST))\b' tests/test_*.py))

lowest-pins:
	@sed -nE 's/^ +"($(LOWEST))>=([0-9.]+).*/\1==\2/p' pyproject.toml
	@grep -viE '^($(LOWEST))==' constraints.txt

.venv-lowest/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-lowest
	@$(MAKE) --no-print-directory lowest-pins >.venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet -c .venv-lowest/constraints.txt -e '.[test]'
	@touch $@

test-lowest: system-packages .venv-lowest/installed
	.venv-lowest/bin/pytest -n 4 --dist loadfile --no-loadscope-reorder $(LOWEST_TESTS)
