# Everything here is `python -m course …`, which also makes .venv the first time.

PYTHON ?= python3

# $(call course,ARGUMENTS): run the program in .venv where there is one, which is quickest; else let
# PYTHON make it; or say what is missing where there is no Python. Ctrl-C is for the program alone:
# `trap` keeps the shell around it, and so make, from complaining of it.
course = trap : INT; if [ -x .venv/bin/python ]; then PYTHONUTF8=1 .venv/bin/python -m course $(1); \
	elif command -v $(firstword $(PYTHON)) >/dev/null 2>&1; then $(PYTHON) -m course $(1); \
	else echo "This course needs Python 3.11 or newer, and there is no $(firstword $(PYTHON)) here." \
	"Install it from https://www.python.org/downloads/, or name yours:" \
	"make $@ PYTHON=/path/to/python3" >&2; exit 2; fi

port = $(if $(PORT),--port '$(subst ','\'',$(PORT))')
serve = $(if $(filter-out 0,$(SERVE)),--serve)
stat = $(if $(filter-out 0,$(STAT)),--stat)
from = $(if $(FROM),--from '$(subst ','\'',$(FROM))')
submissions = $(if $(SUBMISSIONS),'$(subst ','\'',$(SUBMISSIONS))')
rules = $(if $(RULES),--rules '$(subst ','\'',$(RULES))')
out = $(if $(OUT),--out '$(subst ','\'',$(OUT))')
in = $(if $(IN),--in '$(subst ','\'',$(IN))')

# What each command takes: another name, as a misspelt PROT=8000, would be passed over in silence.
takes.lesson = PORT FROM
takes.watch = SERVE PORT
takes.diff = IN STAT
takes.step = STAT
takes.solution = PORT
takes.grade = SUBMISSIONS RULES OUT
takes.docs-serve = PORT
takes = PYTHON $(foreach goal,$(MAKECMDGOALS),$(takes.$(goal)) $(takes.$(firstword $(subst -, ,$(goal)))))
given = $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(takes),$(given)),$(error There is no $(name)= here: make alone lists what each command takes))

help: ## list the commands
	@echo 'N is the number of a lesson.'
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub("%", "N", $$1); printf "  make %-11s %s\n", $$1, $$2 }' Makefile

lesson-%: FORCE ## start lesson N: your own copy, served (PORT=8000: there; FROM=M: with yours of M)
	@$(call course,lesson $* $(port) $(from))

check-%: FORCE ## see how far you are in lesson N
	@$(call course,check $*)

check-tests: ## try the tests that you wrote for lesson 5 (docs/testing.md) on broken apps
	@$(call course,check-tests)

watch-%: FORCE ## see how you stand at each save, hints a key away (SERVE=1: serve it too)
	@$(call course,watch $* $(serve) $(port))

check: ## see how far you are in every lesson you have started
	@$(call course,check)

hint-%: FORCE ## get a hint for lesson N, and a bigger one when you ask again
	@$(call course,hint $*)

diff-%: FORCE ## compare yours with the solution (IN=PATH: a folder or archive there; STAT=1: files only)
	@$(call course,diff $* $(in) $(stat))

step-%: FORCE ## see what lesson N adds to the one before (STAT=1: files only)
	@$(call course,step $* $(stat))

diffs: ## make a page a lesson of what it adds, side by side, for a browser
	@$(call course,diffs)

solution-%: FORCE ## run the finished lesson N (PORT=8000: there)
	@$(call course,solution $* $(port))

reset-%: FORCE ## begin lesson N again; what you had is kept beside it
	@$(call course,reset $*)

update-%: FORCE ## merge a newer starter of lesson N into your copy; what you had is kept beside it
	@$(call course,update $*)

rescue-%: FORCE ## move into your copy what you wrote in lessons/ by mistake
	@$(call course,rescue $*)

progress: ## see which tasks of all lessons are done
	@$(call course,progress)

grade: ## grade a class (SUBMISSIONS=DIR: one folder or archive a student; RULES=FILE; OUT=DIR)
	@$(call course,grade $(submissions) $(rules) $(out))

docs: ## build the site of the pages, in build/site
	@$(call course,docs)

docs-serve: ## build the site, serve it and build it again at each save (PORT=9000: there)
	@$(call course,docs --serve $(port))

test: ## test the course itself
	@$(call course,test)

screenshots: ## draw the pictures of the pages, for the docs, where they are old
	@export SCREENSHOTS=1; $(call course,test tests/test_browser.py -k picture)

bench: ## measure the course itself
	@$(call course,bench)

# A pattern cannot be .PHONY; this makes one run though a file has its name.
FORCE:

.PHONY: help check check-tests diffs progress grade docs docs-serve test screenshots bench FORCE
