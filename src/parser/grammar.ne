# The structure of one Dockerfile instruction, whose continuations are joined. The lexer has chosen the
# tokens by keyword. Lists are left-recursive, so that parsing is linear, and exactly one parse exists.

@{% import * as node from './node.ts'; %}

main -> statement %end {% node.unwrap %}

statement ->
    %wordsKeyword   flags words    {% node.wordsNode %}
  | %listKeyword    flags list     {% node.listNode %}
  | %commandKeyword flags command  {% node.commandNode %}
  | %pairsKeyword   flags pairs    {% node.pairsNode %}
  | %namesKeyword   flags names    {% node.wordsNode %}
  | %textKeyword    flags text     {% node.textNode %}
  | %healthKeyword  flags health   {% node.healthNode %}
  | %triggerKeyword flags trigger  {% node.triggerNode %}
  | %unknownKeyword flags text     {% node.unknownNode %}

flags -> null          {% node.none %}
       | flags %flag   {% node.append %}

words -> null          {% node.none %}
       | words %word   {% node.append %}

names -> null          {% node.none %}
       | names name    {% node.append %}
name  -> %bare         {% node.unwrap %}
       | %assignment   {% node.unwrap %}

list -> array          {% node.unwrap %}
      | sources        {% node.unwrap %}

sources -> null             {% node.none %}
         | sources source   {% node.append %}
source  -> %word            {% node.unwrap %}
         | %heredoc         {% node.unwrap %}

command -> array       {% node.unwrap %}
         | shell       {% node.unwrap %}

shell -> null          {% node.none %}
       | shell piece   {% node.append %}
piece -> %text         {% node.unwrap %}
       | %heredoc      {% node.unwrap %}

array    -> %open %close                {% node.emptyArray %}
          | %open elements %close       {% node.array %}
elements -> %string                     {% node.one %}
          | elements %comma %string     {% node.appendLast %}

pairs -> null                           {% node.none %}
       | %legacyKey %legacyValue        {% node.legacyPair %}
       | assignments                    {% node.unwrap %}
assignments -> %assignment              {% node.one %}
             | assignments %assignment  {% node.append %}

text -> null           {% node.nothing %}
      | %text          {% node.unwrap %}

health -> null                    {% node.nothing %}
        | %healthType command     {% node.healthTest %}

trigger -> null        {% node.nothing %}
         | statement   {% node.unwrap %}
